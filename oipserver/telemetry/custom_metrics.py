"""Puts what models record, here or in a worker, into the registry; knows no model."""

from __future__ import annotations

import logging
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .custom import Kind, MetricEvent

_log = logging.getLogger(__name__)

_LABELS = ("model_name", "model_version")


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
