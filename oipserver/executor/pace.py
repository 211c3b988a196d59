"""Whether a model is quick enough to run on the event loop; knows times alone."""

from __future__ import annotations

# A hop to a thread and back costs 60 to 110 us when the loop is idle: below a few of those, running inline is quicker
# for the caller and keeps nobody else waiting noticeably.
INLINE_LIMIT_NS = 300_000

_WEIGHT = 0.1  # of the newest measurement in the moving average
_OUTLIER = 10  # a measurement this many times the average counts as this many times only: it may be the neighbours'
_FIRST_PATIENCE = 4  # calls in threads that are looked at together
_MOST_PATIENCE = 4096


class Pace:
    """Judges a model by how long its calls took, in nanoseconds.

    On the loop a call takes what the model takes: a weighted mean tells when it no longer is quick. In a thread a call
    also waits for the interpreter lock, under load most of its time, so that there the least of several calls counts. A
    model that was found too slow on the loop is tried there again ever more rarely.
    """

    def __init__(self) -> None:
        #: Whether the next call may run on the loop. An unknown model may not.
        self.quick = False
        self._mean = 0.0
        self._least = 0
        self._calls = 0
        self._patience = _FIRST_PATIENCE

    def on_loop(self, elapsed: int) -> None:
        """A call on the loop took ``elapsed``."""
        mean = self._mean
        self._mean = mean = mean + _WEIGHT * (min(elapsed, _OUTLIER * mean) - mean)
        if mean >= INLINE_LIMIT_NS:
            self.quick = False
            self._calls = 0
            self._patience = min(2 * self._patience, _MOST_PATIENCE)

    def in_thread(self, elapsed: int) -> None:
        """A call in a thread took ``elapsed``."""
        self._least = min(self._least, elapsed) if self._calls else elapsed
        self._calls += 1
        if self._calls >= self._patience and not self.quick:
            if self._least < INLINE_LIMIT_NS:
                self._mean = float(max(self._least, 1))
                self.quick = True
            self._calls = 0
