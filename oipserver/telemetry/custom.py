"""Metrics that a model's own code declares and records, in this process or shipped from a worker.

``register`` and ``log`` are the public names; where an event goes is decided by the sink of the process.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isnan
from threading import Lock
from typing import Literal, NamedTuple, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .context import current_model

_log = logging.getLogger(__name__)

Kind = Literal["histogram", "counter", "gauge"]

_KINDS: tuple[Kind, ...] = get_args(Kind)
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABELS = ("model_name", "model_version")


class MetricEvent(NamedTuple):
    """One recorded value; plain data, so that it can cross from a worker to the server."""

    name: str
    kind: Kind
    description: str
    value: float
    model: str
    version: str


Sink = Callable[[MetricEvent], None]


def _no_sink(_: MetricEvent) -> None:
    """Outside a server, as in a model's unit test, nobody wants to know."""


_sink: Sink = _no_sink


def set_sink(sink: Sink | None) -> None:
    """Send this process' events to ``sink``, called in the thread that records; None: to nobody."""
    global _sink
    _sink = sink or _no_sink


@dataclass(frozen=True, slots=True)
class CustomMetric:
    """A declared metric. Values are labelled with the model whose code is running."""

    name: str
    kind: Kind
    description: str

    def log(self, value: float) -> None:
        """Observe ``value`` (histogram), add it (counter) or set to it (gauge). Raises ValueError or TypeError."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise TypeError(f"metric '{self.name}': expected a number, got {type(value).__name__}") from None
        if self.kind == "counter" and not number >= 0:
            raise ValueError(f"metric '{self.name}': a counter only grows, got {number:g}")
        if isnan(number) and self.kind == "histogram":
            raise ValueError(f"metric '{self.name}': a histogram cannot hold NaN")
        model, version = current_model()
        _sink(MetricEvent(self.name, self.kind, self.description, number, model, version))


_declared: dict[str, CustomMetric] = {}


def register(name: str, description: str, kind: Kind = "histogram") -> CustomMetric:
    """Declare a metric and get a handle to log values with; declaring it again gives the same one.

    Raises ValueError where the name is no Prometheus name, the kind is unknown, or the name has another kind already.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no metric name: expected ASCII letters, digits, '_' and ':'")
    if kind not in _KINDS:
        raise ValueError(f"metric '{name}': unknown kind {kind!r}, expected one of {', '.join(_KINDS)}")
    metric = _declared.setdefault(name, CustomMetric(name, kind, description))
    if metric.kind != kind:
        raise ValueError(f"metric '{name}' is already registered as a {metric.kind}, not a {kind}")
    return metric


def log(**metrics: float) -> None:
    """Record one value for each named metric; one that nobody registered becomes a histogram.

    Raises TypeError where a value is no number, and what ``register`` raises.
    """
    for name, value in metrics.items():
        metric = _declared.get(name) or register(name, f"Logged by a model as '{name}'.")
        metric.log(value)


class CustomMetrics:
    """Puts events into a registry: the sink of a server's own process, and the end of what its workers ship.

    A metric whose name or kind is taken is dropped, and said so once.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._lock = Lock()
        self._metrics: dict[tuple[str, Kind], Counter | Gauge | Histogram | None] = {}

    def record(self, event: MetricEvent) -> None:
        """Apply one event; from any thread. Never raises for a model's mistake."""
        key = (event.name, event.kind)
        metric = self._metrics.get(key)
        if metric is None:
            metric = self._add(key, event.description)
            if metric is None:
                return
        child = metric.labels(event.model, event.version)
        if isinstance(child, Counter):
            child.inc(event.value)
        elif isinstance(child, Gauge):
            child.set(event.value)
        else:
            child.observe(event.value)

    def _add(self, key: tuple[str, Kind], description: str) -> Counter | Gauge | Histogram | None:
        types = {"histogram": Histogram, "counter": Counter, "gauge": Gauge}
        name, kind = key
        with self._lock:
            if key not in self._metrics:
                try:
                    self._metrics[key] = types[kind](name, description, _LABELS, registry=self._registry)
                except ValueError as error:
                    self._metrics[key] = None
                    _log.warning("custom metric '%s' (%s) is dropped: %s", name, kind, error)
            return self._metrics[key]
