"""Counts the answers of one stream as they come and go; knows no model and no wire."""

from __future__ import annotations

from collections.abc import Callable

from ..protocol import InferResponse, Timings
from ..telemetry.statistics import ModelStatistics, reason_of


class Pieces:
    """The answers of one request in the statistics of its model; what the caller takes to read them is not counted."""

    def __init__(self, statistics: ModelStatistics, received: int, clock: Callable[[], int]) -> None:
        self._statistics = statistics
        self._received = received
        self._clock = clock
        self._count = 0
        self._asked = received  # since when the next answer is waited for
        self._first: Timings | None = None
        self._last: Timings | None = None

    def came(self, response: InferResponse) -> None:
        """The next answer is there."""
        timings = response.timings
        assert timings is not None, "a scheduler stamps every response"
        now = self._clock()
        if self._first is None:
            self._first = timings
            self._statistics.record_first_response(now - self._received)
        self._last = timings
        # A model may be ahead of its caller: it took no more than what the caller waited for.
        infer = max(0, timings.infer_end - max(timings.infer_start, self._asked))
        output = max(0, now - max(timings.infer_end, self._asked))
        self._statistics.record_response(self._count, infer, output, empty=not response.outputs)
        self._count += 1
        self._asked = now

    def taken(self) -> None:
        """The caller wants the next one."""
        self._asked = self._clock()

    def ended(self) -> None:
        """The model has said all it had to say."""
        now = self._clock()
        first, last = self._first, self._last
        if first is None or last is None:
            self._statistics.record_no_response(0, now - self._received, None)
            self._statistics.record_success(Timings(self._received, self._received, self._received, now, now))
            return
        self._statistics.record_success(
            Timings(self._received, first.dispatched, first.infer_start, last.infer_end, max(now, last.infer_end))
        )

    def failed(self, error: BaseException) -> None:
        """The stream has ended with ``error``, its caller's leaving included."""
        reason, now = reason_of(error), self._clock()
        self._statistics.record_failure(now - self._received, reason)
        self._statistics.record_no_response(self._count, now - self._asked, reason)
