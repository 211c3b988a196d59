"""What one model version has done: the one truth behind the statistics and metrics endpoints."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from threading import Lock
from time import monotonic_ns, time_ns
from typing import Any, TypeVar

import numpy as np

from ..errors import Code, OIPError
from ..protocol import Timings

# Upper bounds in nanoseconds: from the tens of microseconds of a tiny ONNX model to a ten second generation.
DURATION_BOUNDS_NS: tuple[int, ...] = tuple(
    int(seconds * 1e9)
    for seconds in (
        0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
        0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    )
)  # fmt: skip
BATCH_SIZE_BOUNDS: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

#: Answers of one stream that are told apart; those behind are counted with the last of these.
MOST_RESPONSES = 1024

#: Records that may wait to be counted: counting them together costs a tenth of one by one.
SETTLE_AT = 1024
T = TypeVar("T")
_Row = tuple[int, int, int, int, int]


class Histogram:
    """Counts per bucket, their total and sum; ``bounds`` are inclusive upper bounds, one more bucket is beyond them."""

    __slots__ = ("bounds", "buckets", "count", "total")

    def __init__(self, bounds: tuple[int, ...]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.count = 0
        self.total = 0

    def observe(self, value: int) -> None:
        """Count one value."""
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.count += 1
        self.total += value

    def observe_all(self, values: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Count many values."""
        found = np.bincount(np.searchsorted(self.bounds, values, side="left"), minlength=len(self.buckets))
        self.buckets = [before + more for before, more in zip(self.buckets, found.tolist(), strict=True)]
        self.count += len(values)
        self.total += int(values.sum())


@dataclass(slots=True)
class Duration:
    """How often, and nanoseconds in all."""

    count: int = 0
    ns: int = 0

    def add(self, ns: int, count: int = 1) -> None:
        """Count ``count`` more that took ``ns`` together."""
        self.count += count
        self.ns += ns


@dataclass(slots=True)
class BatchStatistics:
    """Executions of one batch size (rows)."""

    compute_input: Duration = field(default_factory=Duration)
    compute_infer: Duration = field(default_factory=Duration)
    compute_output: Duration = field(default_factory=Duration)


class FailureReason(Enum):
    """Why a request failed: refused before it ran, given up by its caller, failed in the model, anything else."""

    REJECTED = "REJECTED"
    CANCELED = "CANCELED"
    BACKEND = "BACKEND"
    OTHER = "OTHER"


_REASONS = {
    Code.RESOURCE_EXHAUSTED: FailureReason.REJECTED,
    Code.DEADLINE_EXCEEDED: FailureReason.REJECTED,
    Code.UNAVAILABLE: FailureReason.REJECTED,
    Code.CANCELLED: FailureReason.CANCELED,
    Code.INTERNAL: FailureReason.BACKEND,
}


def reason_of(error: BaseException) -> FailureReason:
    """Why a request failed that ended with ``error``."""
    if isinstance(error, OIPError):
        return _REASONS.get(error.code, FailureReason.OTHER)
    # What is no Exception ends the caller's task or its iteration: it has left.
    return FailureReason.OTHER if isinstance(error, Exception) else FailureReason.CANCELED


@dataclass(slots=True)
class ResponseStatistics:
    """The n-th answers of streams: those with outputs, without any, those that failed and those nobody waited for."""

    compute_infer: Duration = field(default_factory=Duration)
    compute_output: Duration = field(default_factory=Duration)
    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    empty_response: Duration = field(default_factory=Duration)
    cancel: Duration = field(default_factory=Duration)


def _durations() -> Histogram:
    return Histogram(DURATION_BOUNDS_NS)


@dataclass(slots=True)
class Totals:
    """Everything counted. Requests count once each, executions once per batch."""

    last_inference_ms: int = 0
    inference_count: int = 0
    execution_count: int = 0
    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    queue: Duration = field(default_factory=Duration)
    compute_input: Duration = field(default_factory=Duration)
    compute_infer: Duration = field(default_factory=Duration)
    compute_output: Duration = field(default_factory=Duration)
    cache_hit: Duration = field(default_factory=Duration)
    cache_miss: Duration = field(default_factory=Duration)
    failures: dict[FailureReason, int] = field(default_factory=dict)
    batches: dict[int, BatchStatistics] = field(default_factory=dict)
    responses: dict[int, ResponseStatistics] = field(default_factory=dict)
    request_duration: Histogram = field(default_factory=_durations)
    queue_duration: Histogram = field(default_factory=_durations)
    compute_duration: Histogram = field(default_factory=_durations)
    first_response_duration: Histogram = field(default_factory=_durations)
    batch_size: Histogram = field(default_factory=lambda: Histogram(BATCH_SIZE_BOUNDS))


class ModelStatistics:
    """Records of one model version since it was loaded. Safe to use from several threads.

    Recording keeps the instants as they are; they are counted when many have gathered, or when somebody looks.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._totals = Totals()
        # Appending and popping are atomic, so that recording needs no lock.
        self._requests: deque[_Row] = deque()
        self._executions: deque[_Row] = deque()

    @property
    def totals(self) -> Totals:
        """The counts up to now; they go on growing under whoever holds them."""
        self._settle()
        return self._totals

    def record_success(self, timings: Timings) -> None:
        """Record one answered request; ``timings`` must be complete."""
        self._requests.append(
            (timings.received, timings.dispatched, timings.infer_start, timings.infer_end, timings.finished)
        )
        if len(self._requests) >= SETTLE_AT:
            self._settle()

    def record_failure(self, duration_ns: int, reason: FailureReason = FailureReason.OTHER) -> None:
        """Record one request that was accepted for this model and failed."""
        with self._lock:
            failures = self._totals.failures
            failures[reason] = failures.get(reason, 0) + 1
            self._totals.fail.add(duration_ns)

    def record_hit(self, received: int, finished: int) -> None:
        """Record one request that the response cache answered: it ran nothing, and queued for no time."""
        with self._lock:
            totals = self._totals
            totals.success.add(finished - received)
            totals.cache_hit.add(finished - received)
            totals.queue.add(0)
            totals.request_duration.observe(finished - received)
            totals.queue_duration.observe(0)
            totals.last_inference_ms = _calendar_ms(finished)

    def record_miss(self, duration_ns: int) -> None:
        """Record the time that looking for an answer in vain and keeping the new one took."""
        with self._lock:
            self._totals.cache_miss.add(duration_ns)

    def record_response(self, number: int, infer_ns: int, output_ns: int, *, empty: bool) -> None:
        """Record the answer ``number``, from 0, of a stream. The model took ``infer_ns`` for it."""
        with self._lock:
            response = self._response(number)
            if empty:
                response.empty_response.add(infer_ns)
            else:
                response.compute_infer.add(infer_ns)
                response.compute_output.add(output_ns)
                response.success.add(infer_ns + output_ns)

    def record_no_response(self, number: int, duration_ns: int, reason: FailureReason | None) -> None:
        """Record that a stream ended where the answer ``number`` would have come: for ``reason``, or empty."""
        with self._lock:
            response = self._response(number)
            if reason is None:
                response.empty_response.add(duration_ns)
            else:
                (response.cancel if reason is FailureReason.CANCELED else response.fail).add(duration_ns)

    def record_first_response(self, duration_ns: int) -> None:
        """Record how long a stream's caller waited for the first answer."""
        with self._lock:
            self._totals.first_response_duration.observe(duration_ns)

    def _response(self, number: int) -> ResponseStatistics:
        return self._totals.responses.setdefault(min(number, MOST_RESPONSES - 1), ResponseStatistics())

    def record_execution(self, rows: int, timings: Timings) -> None:
        """Record one run of the model over ``rows`` rows."""
        self._executions.append((rows, timings.dispatched, timings.infer_start, timings.infer_end, timings.finished))
        if len(self._executions) >= SETTLE_AT:
            self._settle()

    def _settle(self) -> None:
        with self._lock:
            if requests := take_all(self._requests):
                self._count_requests(np.array(requests, np.int64))
            if executions := take_all(self._executions):
                self._count_executions(np.array(executions, np.int64))

    def _count_requests(self, instants: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        totals = self._totals
        received, dispatched, infer_start, infer_end, finished = instants.T
        total, queue, infer = finished - received, dispatched - received, infer_end - infer_start
        count = len(instants)
        totals.success.add(int(total.sum()), count)
        totals.queue.add(int(queue.sum()), count)
        totals.compute_input.add(int((infer_start - dispatched).sum()), count)
        totals.compute_infer.add(int(infer.sum()), count)
        totals.compute_output.add(int((finished - infer_end).sum()), count)
        totals.request_duration.observe_all(total)
        totals.queue_duration.observe_all(queue)
        totals.compute_duration.observe_all(infer)
        totals.last_inference_ms = _calendar_ms(int(finished.max()))

    def _count_executions(self, executions: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        totals = self._totals
        sizes, dispatched, infer_start, infer_end, finished = executions.T
        totals.inference_count += int(sizes.sum())
        totals.execution_count += len(sizes)
        totals.batch_size.observe_all(sizes)
        for rows in np.unique(sizes).tolist():
            same = sizes == rows
            count = int(np.count_nonzero(same))
            batch = totals.batches.setdefault(rows, BatchStatistics())
            batch.compute_input.add(int((infer_start - dispatched)[same].sum()), count)
            batch.compute_infer.add(int((infer_end - infer_start)[same].sum()), count)
            batch.compute_output.add(int((finished - infer_end)[same].sum()), count)


def _calendar_ms(instant: int) -> int:
    """Milliseconds since 1970 of a ``time.monotonic_ns`` instant."""
    return (time_ns() - monotonic_ns() + instant) // 1_000_000


def take_all(records: deque[T]) -> list[T]:
    """What is there now, taken out; what is recorded meanwhile stays for the next time."""
    return [records.popleft() for _ in range(len(records))]
