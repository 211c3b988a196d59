"""Metrics of worker pools, read from them when somebody looks; knows them by a few numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_LABELS = ("pool",)


class WorkerPool(Protocol):
    """What is told of a pool."""

    @property
    def name(self) -> str: ...
    @property
    def workers(self) -> Sequence[object]: ...
    @property
    def deaths(self) -> int: ...
    @property
    def restarts(self) -> int: ...


class PoolMetrics(Collector):
    """How many workers live, died and were replaced. A pool has series while it runs."""

    def __init__(self, pools: Callable[[], Iterable[WorkerPool]]) -> None:
        """``pools`` gives those that run now; those of one name are told as one."""
        self._pools = pools

    def describe(self) -> Iterator[Metric]:
        """The families without samples, so that the registry refuses others of these names."""
        return iter(self._families())

    def collect(self) -> Iterator[Metric]:
        told: dict[str, tuple[int, int, int]] = {}
        for pool in self._pools():
            alive, deaths, restarts = told.get(pool.name, (0, 0, 0))
            told[pool.name] = alive + len(pool.workers), deaths + pool.deaths, restarts + pool.restarts
        workers, deaths_family, restarts_family = families = self._families()
        for name, (alive, deaths, restarts) in told.items():
            workers.add_metric((name,), alive)
            deaths_family.add_metric((name,), deaths)
            restarts_family.add_metric((name,), restarts)
        return iter(families)

    def _families(self) -> tuple[GaugeMetricFamily, CounterMetricFamily, CounterMetricFamily]:
        deaths = "Worker processes that ended although nobody asked them to, killed ones included."
        return (
            GaugeMetricFamily("oipserver_workers", "Worker processes that run.", labels=_LABELS),
            CounterMetricFamily("oipserver_worker_deaths", deaths, labels=_LABELS),
            CounterMetricFamily("oipserver_worker_restarts", "Workers started in place of dead ones.", labels=_LABELS),
        )
