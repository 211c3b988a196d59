"""Metrics of the REST and gRPC servers, in the names of MLServer's; told by the wires, knows neither."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Lock

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from .exposition import add_duration_histogram
from .statistics import SETTLE_AT, Histogram, take_all

# MLServer's bounds, and finer ones below them: most answers here take less than its first.
_BOUNDS_NS = tuple(
    round(seconds * 1e9)
    for seconds in (
        0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075,
        0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    )
)  # fmt: skip

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_GRPC_LABELS = ("grpc_type", "grpc_service", "grpc_method")
_STREAMS = {
    "ModelStreamInfer": "BIDI_STREAMING",
    "ServerReflectionInfo": "BIDI_STREAMING",
    "Watch": "SERVER_STREAMING",
}


class RestMetrics(Collector):
    """Counts REST requests. Told and asked on the event loop alone; costs a fraction of a microsecond a request.

    ``silent`` are the routes that are not counted, such as those of probes.
    """

    def __init__(self, prefix: str, app_name: str, silent: frozenset[str] = frozenset()) -> None:
        self._prefix = prefix
        self._app_name = app_name
        self._silent = silent
        self._in_progress = 0
        self._finished: dict[tuple[str, str, int], Histogram] = {}
        self._waiting: deque[tuple[str, str, int, float]] = deque()  # to be counted together

    def started(self) -> None:
        """A request is about to be answered."""
        self._in_progress += 1

    def finished(self, method: str, route_template: str, status: int, seconds: float) -> None:
        """It has been answered. ``route_template`` is one of the server's own routes, never a path as it came."""
        self._in_progress -= 1
        self._waiting.append((method, route_template, status, seconds))
        if len(self._waiting) >= SETTLE_AT:
            self._settle()

    def _settle(self) -> None:
        durations: dict[tuple[str, str, int], list[float]] = {}
        for method, route_template, status, seconds in take_all(self._waiting):
            if route_template not in self._silent:
                # A client may invent any number of methods.
                key = (method if method in _METHODS else "OTHER", route_template, status)
                durations.setdefault(key, []).append(seconds)
        for key, values in durations.items():
            histogram = self._finished.setdefault(key, Histogram(_BOUNDS_NS))
            histogram.observe_all((np.array(values) * 1e9).astype(np.int64))

    def describe(self) -> Iterator[Metric]:
        """The families without samples, so that the registry refuses others of these names."""
        return iter(self._families())

    def collect(self) -> Iterator[Metric]:
        requests, durations, in_progress = self._families()
        self._settle()
        for (method, path, status), histogram in list(self._finished.items()):
            labels = (self._app_name, method, path, str(status))
            requests.add_metric(labels, histogram.count)
            add_duration_histogram(durations, labels, histogram)
        in_progress.add_metric((self._app_name,), self._in_progress)
        return iter((requests, durations, in_progress))

    def _families(self) -> tuple[CounterMetricFamily, HistogramMetricFamily, GaugeMetricFamily]:
        labels = ("app_name", "method", "path", "status_code")
        prefix = self._prefix
        return (
            CounterMetricFamily(f"{prefix}_requests", "REST requests answered.", labels=labels),
            HistogramMetricFamily(
                f"{prefix}_request_duration_seconds", "Time REST requests took to answer.", labels=labels
            ),
            GaugeMetricFamily(f"{prefix}_requests_in_progress", "REST requests being answered.", labels=labels[:1]),
        )


class _Call:
    """Counters of one gRPC method."""

    __slots__ = ("handled", "handling", "received", "sent", "started")

    def __init__(self) -> None:
        self.started = self.received = self.sent = 0
        self.handled: dict[str, int] = {}
        self.handling = Histogram(_BOUNDS_NS)


class GrpcMetrics(Collector):
    """Counts gRPC calls; told from any thread. Methods are full names, ``/package.Service/Method``, that exist."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: dict[str, _Call] = {}

    def started(self, method: str) -> None:
        """A call has come; with it, unless it is a stream, its one message."""
        call = self._call(method)
        with self._lock:
            call.started += 1
            if _grpc_type(method) == "UNARY":
                call.received += 1

    def received(self, method: str) -> None:
        """A message of a streaming call has come."""
        call = self._call(method)
        with self._lock:
            call.received += 1

    def sent(self, method: str) -> None:
        """A message of a streaming call has been sent."""
        call = self._call(method)
        with self._lock:
            call.sent += 1

    def finished(self, method: str, code: str, seconds: float) -> None:
        """A call has ended with ``code``, a name such as ``OK`` or ``NOT_FOUND``."""
        call = self._call(method)
        with self._lock:
            call.handled[code] = call.handled.get(code, 0) + 1
            call.handling.observe(int(seconds * 1e9))
            if code == "OK" and _grpc_type(method) == "UNARY":
                call.sent += 1

    def _call(self, method: str) -> _Call:
        call = self._calls.get(method)
        if call is None:
            call = self._calls.setdefault(method, _Call())
        return call

    def describe(self) -> Iterator[Metric]:
        """The families without samples, so that the registry refuses others of these names."""
        return iter(_grpc_families())

    def collect(self) -> Iterator[Metric]:
        families = _grpc_families()
        started, handled, received, sent, handling = families
        with self._lock:
            for method, call in self._calls.items():
                service, _, name = method.lstrip("/").rpartition("/")
                labels = (_grpc_type(method), service, name)
                started.add_metric(labels, call.started)
                received.add_metric(labels, call.received)
                sent.add_metric(labels, call.sent)
                for code, count in call.handled.items():
                    handled.add_metric((*labels, code), count)
                add_duration_histogram(handling, labels, call.handling)
        return iter(families)


def _grpc_type(method: str) -> str:
    return _STREAMS.get(method.rpartition("/")[2], "UNARY")


def _grpc_families() -> tuple[
    CounterMetricFamily, CounterMetricFamily, CounterMetricFamily, CounterMetricFamily, HistogramMetricFamily
]:
    return (
        CounterMetricFamily("grpc_server_started", "gRPC calls begun.", labels=_GRPC_LABELS),
        CounterMetricFamily("grpc_server_handled", "gRPC calls ended.", labels=(*_GRPC_LABELS, "grpc_code")),
        CounterMetricFamily("grpc_server_msg_received", "Messages received in gRPC calls.", labels=_GRPC_LABELS),
        CounterMetricFamily("grpc_server_msg_sent", "Messages sent in gRPC calls.", labels=_GRPC_LABELS),
        HistogramMetricFamily("grpc_server_handling_seconds", "Time gRPC calls took.", labels=_GRPC_LABELS),
    )
