"""Puts what models record, here or in a worker, into the registry; knows no model."""

from __future__ import annotations

import logging
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .custom import Kind, MetricEvent

_log = logging.getLogger(__name__)

_LABELS = ("model_name", "model_version")
_TYPES: dict[Kind, type[Counter | Gauge | Histogram]] = {"histogram": Histogram, "counter": Counter, "gauge": Gauge}
_Key = tuple[str, Kind, tuple[str, ...] | None]  # name, kind, and the names of labels of its own


class CustomMetrics:
    """Puts events into a registry: the sink of a server's own process, and the end of what its workers ship.

    A metric whose name or kind is taken is dropped, and said so once.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._lock = Lock()
        self._metrics: dict[_Key, Counter | Gauge | Histogram | None] = {}

    def record(self, event: MetricEvent) -> None:
        """Apply one event; from any thread. Never raises for a model's mistake."""
        key = (event.name, event.kind, None if event.labels is None else tuple(sorted(event.labels)))
        metric = self._metrics.get(key)
        if metric is None:
            metric = self._add(key, event)
            if metric is None:
                return
        if event.labels is None:
            child = metric.labels(event.model, event.version)
        else:
            child = metric.labels(**event.labels) if event.labels else metric
        if isinstance(child, Counter) or (event.kind == "counter" and isinstance(child, Gauge)):
            child.inc(event.value)
        elif isinstance(child, Gauge):
            child.set(event.value)
        else:
            child.observe(event.value)

    def _add(self, key: _Key, event: MetricEvent) -> Counter | Gauge | Histogram | None:
        name, kind, labels = key
        with self._lock:
            if key not in self._metrics:
                try:
                    self._metrics[key] = self._made(event, labels)
                except ValueError as error:
                    self._metrics[key] = None
                    _log.warning("custom metric '%s' (%s) is dropped: %s", name, kind, error)
            return self._metrics[key]

    def _made(self, event: MetricEvent, labels: tuple[str, ...] | None) -> Counter | Gauge | Histogram:
        name, description = event.name, event.description
        kind: type[Counter | Gauge | Histogram]
        if labels is None:
            kind = _TYPES[event.kind]
            return kind(name, description, _LABELS, registry=self._registry)
        if event.kind == "histogram" and event.buckets is not None:
            return Histogram(name, description, labels, registry=self._registry, buckets=tuple(event.buckets))
        # A counter with labels of its own keeps its very name, without the "_total" that the library's counters get.
        kind = Histogram if event.kind == "histogram" else Gauge
        return kind(name, description, labels, registry=self._registry)
