"""How long to wait before a dead worker is replaced, and when to give up; knows no process and reads no clock."""

from __future__ import annotations

from collections import deque

FIRST_DELAY = 0.1
LONGEST_DELAY = 10.0
STEADY = 10.0  # seconds of life after which a death counts as the first one


class Backoff:
    """The first death of a worker that lived for a while is mended at once; each one that follows soon waits twice as
    long, up to LONGEST_DELAY."""

    def __init__(self, max_deaths: int, window: float) -> None:
        """Give up at ``max_deaths`` within ``window`` seconds."""
        self._max_deaths = max_deaths
        self._window = window
        self._deaths: deque[float] = deque()
        self._in_a_row = 0

    def after_death(self, now: float, lived: float) -> float | None:
        """Seconds to wait after a death at ``now`` of a worker that lived for ``lived`` seconds; None: give up."""
        self._deaths.append(now)
        while now - self._deaths[0] > self._window:
            self._deaths.popleft()
        if len(self._deaths) >= self._max_deaths:
            return None
        self._in_a_row = 0 if lived >= STEADY else self._in_a_row + 1
        if self._in_a_row <= 1:
            return 0.0
        return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(self._in_a_row - 2, 30))

    def forget(self) -> None:
        """Start anew: somebody mended the cause."""
        self._deaths.clear()
        self._in_a_row = 0
