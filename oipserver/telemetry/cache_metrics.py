"""Metrics of the response cache, read from it when somebody looks; knows it by a few numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_LABELS = ("model", "version")


class Cache(Protocol):
    """What is told of a cache."""

    @property
    def entries(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    def outcomes(self) -> Iterable[tuple[tuple[str, str], int, int]]:
        """Name and version of a model with its hits and misses."""
        ...


class CacheMetrics(Collector):
    """What a response cache holds, and how often it helped."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def describe(self) -> Iterator[Metric]:
        """The families without samples, so that the registry refuses others of these names."""
        return iter(self._families())

    def collect(self) -> Iterator[Metric]:
        hits, misses, entries, size = self._families()
        for (name, version), hit, missed in self._cache.outcomes():
            hits.add_metric((name, version or "None"), hit)
            misses.add_metric((name, version or "None"), missed)
        entries.add_metric((), self._cache.entries)
        size.add_metric((), self._cache.bytes)
        return iter((hits, misses, entries, size))

    def _families(self) -> tuple[CounterMetricFamily, CounterMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
        return (
            CounterMetricFamily("oipserver_cache_hits", "Requests answered from the response cache.", labels=_LABELS),
            CounterMetricFamily(
                "oipserver_cache_misses", "Requests the response cache had no answer for.", labels=_LABELS
            ),
            GaugeMetricFamily("oipserver_cache_entries", "Answers in the response cache.", labels=()),
            GaugeMetricFamily("oipserver_cache_bytes", "Bytes of answers in the response cache.", labels=()),
        )
