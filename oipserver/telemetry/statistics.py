"""Counters and duration sums of one model version, the one truth behind the statistics and metrics endpoints."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from threading import Lock
from time import time_ns

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


class Histogram:
    """Counts per bucket, their total and sum; ``bounds`` are inclusive upper bounds, one more bucket is beyond them."""

    __slots__ = ("bounds", "buckets", "count", "total")

    def __init__(self, bounds: tuple[int, ...]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.count = 0
        self.total = 0

    def observe(self, value: int) -> None:
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.count += 1
        self.total += value


@dataclass(slots=True)
class Duration:
    """How often, and nanoseconds in all."""

    count: int = 0
    ns: int = 0

    def add(self, ns: int) -> None:
        self.count += 1
        self.ns += ns


@dataclass(slots=True)
class BatchStatistics:
    """Executions of one batch size (rows)."""

    compute_input: Duration = field(default_factory=Duration)
    compute_infer: Duration = field(default_factory=Duration)
    compute_output: Duration = field(default_factory=Duration)


class ModelStatistics:
    """What one model version has done since it was loaded.

    Requests are counted once each (``record_success``, ``record_failure``), executions once per batch
    (``record_execution``). Safe to call from several threads.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.last_inference_ms = 0
        self.inference_count = 0
        self.execution_count = 0
        self.success = Duration()
        self.fail = Duration()
        self.queue = Duration()
        self.compute_input = Duration()
        self.compute_infer = Duration()
        self.compute_output = Duration()
        self.batches: dict[int, BatchStatistics] = {}
        self.request_duration = Histogram(DURATION_BOUNDS_NS)
        self.queue_duration = Histogram(DURATION_BOUNDS_NS)
        self.compute_duration = Histogram(DURATION_BOUNDS_NS)
        self.batch_size = Histogram(BATCH_SIZE_BOUNDS)

    def record_success(self, timings: Timings) -> None:
        """Count one answered request; ``timings`` must be complete."""
        total = timings.finished - timings.received
        queue = timings.dispatched - timings.received
        infer = timings.infer_end - timings.infer_start
        with self._lock:
            self.success.add(total)
            self.queue.add(queue)
            self.compute_input.add(timings.infer_start - timings.dispatched)
            self.compute_infer.add(infer)
            self.compute_output.add(timings.finished - timings.infer_end)
            self.request_duration.observe(total)
            self.queue_duration.observe(queue)
            self.compute_duration.observe(infer)
            self.last_inference_ms = time_ns() // 1_000_000

    def record_failure(self, duration_ns: int) -> None:
        """Count one request that was accepted for this model and failed."""
        with self._lock:
            self.fail.add(duration_ns)

    def record_execution(self, rows: int, timings: Timings) -> None:
        """Count one run of the model over ``rows`` rows."""
        with self._lock:
            self.inference_count += rows
            self.execution_count += 1
            self.batch_size.observe(rows)
            batch = self.batches.get(rows)
            if batch is None:
                batch = self.batches[rows] = BatchStatistics()
            batch.compute_input.add(timings.infer_start - timings.dispatched)
            batch.compute_infer.add(timings.infer_end - timings.infer_start)
            batch.compute_output.add(timings.finished - timings.infer_end)
