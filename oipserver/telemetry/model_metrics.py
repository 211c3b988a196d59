"""Metrics of models, made from their statistics when somebody looks: serving a request pays nothing for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from .exposition import add_duration_histogram, add_histogram
from .statistics import Histogram, ModelStatistics, Totals

_LABELS = ("model", "version")
_QUEUE_LABELS = ("model_name", "model_version")  # what MLServer calls them in this one family
_QUEUE_BOUNDS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Queue(Protocol):
    """Where requests wait."""

    @property
    def queued(self) -> int:
        """Requests that wait."""
        ...


class ServedModel(Protocol):
    """What is told of a model version."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def statistics(self) -> ModelStatistics: ...
    @property
    def scheduler(self) -> Queue: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def ready(self) -> bool: ...
    @property
    def load_seconds(self) -> float: ...
    @property
    def execution_provider(self) -> str:
        """What computes it, "" where that is not known; those of NVIDIA's GPUs begin with ``CUDA`` or ``Tensorrt``."""
        ...

    @property
    def metric_tags(self) -> Mapping[str, str]:
        """Labels that its configuration adds to metrics in Triton's names."""
        ...


_Counter = tuple[str, str, Callable[[ServedModel], float]]

# Names and labels of the first two are MLServer's.
_COUNTERS: tuple[_Counter, ...] = (
    (
        "model_infer_request_success",
        "Inference requests answered.",
        lambda model: model.statistics.totals.success.count,
    ),
    (
        "model_infer_request_failure",
        "Inference requests accepted for the model that failed.",
        lambda model: model.statistics.totals.fail.count,
    ),
    (
        "oipserver_inference_rows",
        "Rows inferred; a request without batch dimension is one.",
        lambda model: model.statistics.totals.inference_count,
    ),
    (
        "oipserver_executions",
        "Executions of the model; a batch of several requests is one.",
        lambda model: model.statistics.totals.execution_count,
    ),
)
_GAUGES: tuple[_Counter, ...] = (
    ("oipserver_requests_in_flight", "Requests accepted and not answered yet.", lambda model: model.in_flight),
    ("oipserver_requests_queued", "Requests waiting to be executed.", lambda model: model.scheduler.queued),
    ("oipserver_model_ready", "1 while the model version accepts requests, else 0.", lambda model: int(model.ready)),
    ("oipserver_model_load_seconds", "Time the model version took to load.", lambda model: model.load_seconds),
)
_DURATIONS: tuple[tuple[str, str, Callable[[Totals], Histogram]], ...] = (
    (
        "oipserver_request_duration_seconds",
        "From receiving a request to its answer, of answered requests.",
        lambda totals: totals.request_duration,
    ),
    (
        "oipserver_queue_duration_seconds",
        "Time answered requests waited to be executed.",
        lambda totals: totals.queue_duration,
    ),
    (
        "oipserver_compute_duration_seconds",
        "Time the model computed for answered requests.",
        lambda totals: totals.compute_duration,
    ),
)


class ModelMetrics(Collector):
    """Every family that is told per model version. A version has series while it is loaded."""

    def __init__(self, models: Iterable[ServedModel]) -> None:
        self._models = models
        self._queue_samples: dict[tuple[str, str], Histogram] = {}
        self._in_flight_samples = Histogram(_QUEUE_BOUNDS)

    def describe(self) -> Iterator[Metric]:
        """The families without samples, so that the registry refuses others of these names."""
        return self._families([])

    def collect(self) -> Iterator[Metric]:
        models = {(model.name, _version(model)): model for model in self._models}
        self._sample_queues(models)
        return self._families(list(models.items()))

    def _families(self, models: list[tuple[tuple[str, str], ServedModel]]) -> Iterator[Metric]:
        for name, text, value in _COUNTERS:
            counter = CounterMetricFamily(name, text, labels=_LABELS)
            for key, model in models:
                counter.add_metric(key, value(model))
            yield counter
        yield _durations(models)
        for name, text, value in _GAUGES:
            gauge = GaugeMetricFamily(name, text, labels=_LABELS)
            for key, model in models:
                gauge.add_metric(key, value(model))
            yield gauge
        for name, text, histogram in _DURATIONS:
            family = HistogramMetricFamily(name, text, labels=_LABELS)
            for key, model in models:
                add_duration_histogram(family, key, histogram(model.statistics.totals))
            yield family
        sizes = HistogramMetricFamily("oipserver_batch_size", "Rows of each execution of the model.", labels=_LABELS)
        for key, model in models:
            add_histogram(sizes, key, model.statistics.totals.batch_size)
        yield sizes
        yield from self._queue_families()

    def _sample_queues(self, models: dict[tuple[str, str], ServedModel]) -> None:
        """MLServer observes its queues at every request; sampled at every scrape the mean says the same for nothing."""
        self._queue_samples = {key: self._queue_samples.get(key) or Histogram(_QUEUE_BOUNDS) for key in models}
        for key, model in models.items():
            self._queue_samples[key].observe(model.scheduler.queued)
        self._in_flight_samples.observe(sum(model.in_flight for model in models.values()))

    def _queue_families(self) -> Iterator[Metric]:
        text = "Requests waiting to be executed, sampled at each scrape."
        queues = HistogramMetricFamily("batch_request_queue", text, labels=_QUEUE_LABELS)
        for key, samples in self._queue_samples.items():
            add_histogram(queues, key, samples)
        yield queues
        text = "Requests accepted and not answered yet, of all models, sampled at each scrape."
        in_flight = HistogramMetricFamily("parallel_request_queue", text, labels=())
        add_histogram(in_flight, (), self._in_flight_samples)
        yield in_flight


def _version(model: ServedModel) -> str:
    return model.version or "None"  # the label value MLServer's dashboards know for "no version"


def _durations(models: list[tuple[tuple[str, str], ServedModel]]) -> SummaryMetricFamily:
    text = "Seconds spent on inference requests, answered and failed."
    family = SummaryMetricFamily("model_infer_request_duration", text, labels=_LABELS)
    for key, model in models:
        success, fail = model.statistics.totals.success, model.statistics.totals.fail
        family.add_metric(key, count_value=success.count + fail.count, sum_value=(success.ns + fail.ns) / 1e9)
    return family
