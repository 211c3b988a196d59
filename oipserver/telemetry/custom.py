"""Metrics that a model's own code declares and records; where an event goes is decided by the sink of the process.

``register`` and ``log`` are public names. Imported in workers too: knows no metrics library.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Literal, NamedTuple, get_args

from .context import current_model

Kind = Literal["histogram", "counter", "gauge"]

_KINDS: tuple[Kind, ...] = get_args(Kind)
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


class MetricEvent(NamedTuple):
    """One recorded value; plain data, so that it can cross from a worker to the server.

    ``labels`` are the metric's own, in place of the model's; ``buckets`` the bounds of a histogram that has its own.
    """

    name: str
    kind: Kind
    description: str
    value: float
    model: str
    version: str
    labels: Mapping[str, str] | None = None
    buckets: Sequence[float] | None = None


Sink = Callable[[MetricEvent], None]


def _no_sink(_: MetricEvent) -> None:
    """Outside a server, as in a model's unit test, nobody wants to know."""


_sink: Sink = _no_sink


def set_sink(sink: Sink | None) -> None:
    """Send this process' events to ``sink``, called in the thread that records; None: to nobody."""
    global _sink
    _sink = sink or _no_sink


def emit(event: MetricEvent) -> None:
    """Hand an event that was recorded elsewhere, in a worker, to this process' sink."""
    _sink(event)


@dataclass(frozen=True, slots=True)
class CustomMetric:
    """A declared metric. Values are labelled with the model whose code is running, unless it has ``labels``."""

    name: str
    kind: Kind
    description: str
    labels: Mapping[str, str] | None = None
    buckets: Sequence[float] | None = None

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
        _sink(MetricEvent(self.name, self.kind, self.description, number, model, version, self.labels, self.buckets))


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


def declare(
    name: str,
    description: str,
    kind: Kind,
    labels: Mapping[str, str],
    buckets: Sequence[float] | None = None,
) -> CustomMetric:
    """Like ``register``, for a metric with ``labels`` of its own (which may be none) and its own histogram bounds.

    Raises ValueError as ``register`` does, and for a name or a label that Prometheus does not take.
    """
    register(name, description, kind)
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise ValueError(f"metric '{name}': {label!r} is no name of a label")
    if buckets is not None and (list(buckets) != sorted(set(buckets)) or not buckets):
        raise ValueError(f"metric '{name}': buckets must be ascending numbers, got {list(buckets)}")
    own = {key: str(value) for key, value in labels.items()}
    return CustomMetric(name, kind, description, own, None if buckets is None else [float(b) for b in buckets])


def log(**metrics: float) -> None:
    """Record one value for each named metric; one that nobody registered becomes a histogram.

    Raises TypeError where a value is no number, and what ``register`` raises.
    """
    for name, value in metrics.items():
        metric = _declared.get(name) or register(name, f"Logged by a model as '{name}'.")
        metric.log(value)
