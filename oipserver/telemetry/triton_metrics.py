"""Metrics in Triton's names, made from the models' statistics when somebody looks, for dashboards that know them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from prometheus_client.core import (
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UntypedMetricFamily,
)
from prometheus_client.registry import Collector

from .exposition import add_histogram
from .model_metrics import ServedModel
from .statistics import FailureReason, Totals

_LABELS = ("model", "version")
_US = 1_000
_MS = 1e6
_TAG = "_"  # before the names of a configuration's metric_tags
_ON_GPU = ("CUDA", "Tensorrt")


_Told = tuple[str, str, Callable[[Totals], int]]

# Triton's counters do not end with _total, as counters of the library that writes the page have to: so they have no
# type. Durations are of answered requests.
_COUNTERS: tuple[_Told, ...] = (
    ("request_success", "Inference requests answered.", lambda totals: totals.success.count),
    ("count", "Rows inferred, those of cached answers left out.", lambda totals: totals.inference_count),
    ("exec_count", "Executions of the model.", lambda totals: totals.execution_count),
    ("request_duration_us", "Time of requests in all, in microseconds.", lambda totals: totals.success.ns // _US),
    ("queue_duration_us", "Time requests waited, in microseconds.", lambda totals: totals.queue.ns // _US),
    (
        "compute_input_duration_us",
        "Time on the way into the model, in microseconds.",
        lambda totals: totals.compute_input.ns // _US,
    ),
    (
        "compute_infer_duration_us",
        "Time the model computed, in microseconds.",
        lambda totals: totals.compute_infer.ns // _US,
    ),
    (
        "compute_output_duration_us",
        "Time on the way out of the model, in microseconds.",
        lambda totals: totals.compute_output.ns // _US,
    ),
)
_CACHE: tuple[_Told, ...] = (
    ("num_hits", "Requests answered from the response cache.", lambda totals: totals.cache_hit.count),
    ("num_misses", "Requests the response cache had no answer for.", lambda totals: totals.cache_miss.count),
    ("hit_duration", "Time of cached answers, in microseconds.", lambda totals: totals.cache_hit.ns // _US),
    ("miss_duration", "Time lost to the cache, in microseconds.", lambda totals: totals.cache_miss.ns // _US),
)
_Series = tuple[tuple[str, ...], ServedModel]


class TritonMetrics(Collector):
    """The ``nv_`` families. ``proc`` is where the system tells of itself; where it does not, those are empty."""

    def __init__(self, models: Iterable[ServedModel], proc: Path = Path("/proc")) -> None:
        self._models = models
        self._system = _System(proc)
        self._gpu = _only_gpu(proc)

    def describe(self) -> Iterator[Metric]:
        """The families without samples, so that the registry refuses others of these names."""
        return self._families([], _LABELS)

    def collect(self) -> Iterator[Metric]:
        models = list(self._models)
        told = [(self._labels(model), model) for model in models]
        names = [*_LABELS, *sorted({name for labels, _ in told for name in labels} - set(_LABELS))]
        series = [(tuple(labels.get(name, "") for name in names), model) for labels, model in told]
        return self._families(series, names)

    def _labels(self, model: ServedModel) -> dict[str, str]:
        labels = {_TAG + tag: value for tag, value in model.metric_tags.items()}
        if self._gpu and model.execution_provider.startswith(_ON_GPU):
            labels["gpu_uuid"] = self._gpu
        return {**labels, "model": model.name, "version": model.version or "None"}

    def _families(self, series: list[_Series], labels: Sequence[str]) -> Iterator[Metric]:
        for name, text, value in _COUNTERS:
            yield _counter(f"nv_inference_{name}", text, value, series, labels)
        failures = UntypedMetricFamily(
            "nv_inference_request_failure", "Inference requests that failed.", labels=(*labels, "reason")
        )
        for key, model in series:
            counted = model.statistics.totals.failures
            for reason in FailureReason:
                failures.add_metric((*key, reason.value), counted.get(reason, 0))
        yield failures
        for name, text, value in _CACHE:
            yield _counter(f"nv_cache_{name}_per_model", text, value, series, labels)
        yield from _gauges(series, labels)
        first = HistogramMetricFamily(
            "nv_inference_first_response_histogram_ms", "Wait for the first answer of streams.", labels=labels
        )
        for key, model in series:
            if (histogram := model.statistics.totals.first_response_duration).count:
                add_histogram(first, key, histogram, unit=_MS)
        yield first
        yield from self._system.families()


def _counter(
    name: str, text: str, value: Callable[[Totals], int], series: list[_Series], labels: Sequence[str]
) -> UntypedMetricFamily:
    family = UntypedMetricFamily(name, text, labels=labels)
    for key, model in series:
        family.add_metric(key, value(model.statistics.totals))
    return family


def _gauges(series: list[_Series], labels: Sequence[str]) -> Iterator[GaugeMetricFamily]:
    pending = GaugeMetricFamily("nv_inference_pending_request_count", "Requests that wait.", labels=labels)
    loading = GaugeMetricFamily("nv_model_load_duration_secs", "Time the model took to load.", labels=labels)
    for key, model in series:
        pending.add_metric(key, model.scheduler.queued)
        loading.add_metric(key, model.load_seconds)
    yield pending
    yield loading


def _only_gpu(proc: Path) -> str:
    """The UUID of the machine's NVIDIA GPU; "" where there is none or several: which of them a model has is not known
    here."""
    found = list((proc / "driver" / "nvidia" / "gpus").glob("*/information"))
    if len(found) != 1:
        return ""
    lines = found[0].read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("GPU UUID:")), "")


class _System:
    """The machine's processors and memory; their use is since the last look."""

    def __init__(self, proc: Path) -> None:
        self._proc = proc
        self._busy, self._all = self._ticks()

    def families(self) -> Iterator[GaugeMetricFamily]:
        """What is told of the machine."""
        use = GaugeMetricFamily("nv_cpu_utilization", "Use of the machine's processors, from 0 to 1.", labels=())
        total = GaugeMetricFamily("nv_cpu_memory_total_bytes", "Memory of the machine.", labels=())
        used = GaugeMetricFamily("nv_cpu_memory_used_bytes", "Memory of the machine that is in use.", labels=())
        busy, ticks = self._ticks()
        if ticks > self._all:
            use.add_metric((), (busy - self._busy) / (ticks - self._all))
            self._busy, self._all = busy, ticks
        memory = self._memory()
        if memory:
            total.add_metric((), memory["MemTotal"])
            used.add_metric((), memory["MemTotal"] - memory["MemAvailable"])
        return iter((use, total, used))

    def _ticks(self) -> tuple[int, int]:
        """Busy and all ticks of all processors since the machine started."""
        try:
            line = (self._proc / "stat").read_text().splitlines()[0]
        except OSError:
            return 0, 0
        user, nice, system, idle, waiting, *others = map(int, line.split()[1:9])
        busy = user + nice + system + sum(others)
        return busy, busy + idle + waiting

    def _memory(self) -> dict[str, int]:
        try:
            lines = (self._proc / "meminfo").read_text().splitlines()
        except OSError:
            return {}
        told = dict(line.split(":", 1) for line in lines if ":" in line)
        return {name: int(told[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable")}
