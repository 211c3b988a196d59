"""How far a batch is, as a line that changes on a terminal; knows no request."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TextIO

_EVERY = 0.1  # seconds
_BAR = 28


class Progress:
    """A bar on ``stream`` where that is a terminal, nothing elsewhere. Called by one thread at a time."""

    def __init__(self, stream: TextIO, total: int, done: int = 0, clock: Callable[[], float] = monotonic) -> None:
        self._stream = stream if stream.isatty() else None
        self._total = total
        self._before = self._done = done
        self._failed = 0
        self._clock = clock
        self._start = clock()
        self._shown = float("-inf")
        self._show(self._start)

    def add(self, *, failed: bool) -> None:
        """One more request is answered, or will not be."""
        self._done += 1
        self._failed += failed
        now = self._clock()
        if now - self._shown >= _EVERY or self._done == self._total:
            self._show(now)

    def close(self) -> None:
        """Leave the line as it is."""
        if self._stream is not None:
            self._show(self._clock())
            self._stream.write("\n")
            self._stream.flush()

    def _show(self, now: float) -> None:
        if self._stream is None:
            return
        self._shown = now
        share = self._done / self._total if self._total else 1.0
        bar = "#" * int(share * _BAR)
        rate = (self._done - self._before) / (now - self._start) if now > self._start else 0.0
        left = f", {(self._total - self._done) / rate:.0f} s left" if rate and self._done < self._total else ""
        failed = f", {self._failed} failed" if self._failed else ""
        line = f"{share:4.0%} [{bar:{_BAR}}] {self._done}/{self._total}, {rate:.1f}/s{failed}{left}"
        self._stream.write(f"\r{line}\x1b[K")
        self._stream.flush()
