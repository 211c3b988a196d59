"""Metrics in Triton's names say what the statistics say, with Triton's labels, and can be switched off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from oipserver.errors import (
    CancelledError,
    InternalError,
    InvalidArgumentError,
    ResourceExhaustedError,
)
from oipserver.protocol import Timings
from oipserver.settings import Settings
from oipserver.telemetry.metrics import Metrics
from oipserver.telemetry.statistics import FailureReason, reason_of
from oipserver.telemetry.triton_metrics import TritonMetrics
from tests.telemetry.plain_models import Model, Queue

MS = 1_000_000
STAT = "cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"


def loaded(name: str, **more: Any) -> Model:
    return Model(name, "1", scheduler=Queue(2), **more)


def samples(collector: TritonMetrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    list(parse_openmetrics(generate_openmetrics(registry).decode()))  # is legal in that format too
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


def test_models() -> None:
    model = loaded("digits")
    statistics = model.statistics
    statistics.record_success(Timings(0, 2 * MS, 3 * MS, 7 * MS, 8 * MS))
    statistics.record_execution(5, Timings(0, 2 * MS, 3 * MS, 7 * MS, 8 * MS))
    statistics.record_hit(10 * MS, 11 * MS)
    statistics.record_miss(3 * MS)
    statistics.record_failure(MS, FailureReason.REJECTED)
    statistics.record_first_response(20 * MS)
    told = samples(TritonMetrics([model]))
    labels = {"model": "digits", "version": "1"}
    for name, value in {
        "nv_inference_request_success": 2,
        "nv_inference_count": 5,
        "nv_inference_exec_count": 1,
        "nv_inference_request_duration_us": 9000,
        "nv_inference_queue_duration_us": 2000,
        "nv_inference_compute_input_duration_us": 1000,
        "nv_inference_compute_infer_duration_us": 4000,
        "nv_inference_compute_output_duration_us": 1000,
        "nv_cache_num_hits_per_model": 1,
        "nv_cache_num_misses_per_model": 1,
        "nv_cache_hit_duration_per_model": 1000,
        "nv_cache_miss_duration_per_model": 3000,
        "nv_inference_pending_request_count": 2,
        "nv_model_load_duration_secs": 0.5,
        "nv_inference_first_response_histogram_ms_sum": 20,
        "nv_inference_first_response_histogram_ms_count": 1,
    }.items():
        assert told[name, frozenset(labels.items())] == value, name
    for reason, count in {"REJECTED": 1, "CANCELED": 0, "BACKEND": 0, "OTHER": 0}.items():
        assert told["nv_inference_request_failure", frozenset({**labels, "reason": reason}.items())] == count


def test_tags_of_a_configuration_are_labels() -> None:
    models = [loaded("a", metric_tags={"team": "x"}), loaded("b")]
    told = samples(TritonMetrics(models))
    of_a = {"model": "a", "version": "1", "_team": "x"}
    assert ("nv_inference_count", frozenset(of_a.items())) in told
    assert ("nv_inference_count", frozenset({**of_a, "model": "b", "_team": ""}.items())) in told


def test_the_gpu_of_a_machine_with_one(tmp_path: Path) -> None:
    models = [loaded("a", execution_provider="CUDAExecutionProvider"), loaded("b", execution_provider="CPU")]

    def labelled() -> set[str]:
        told = samples(TritonMetrics(models, tmp_path))
        found = [dict(labels) for name, labels in told if name == "nv_inference_count"]
        return {f"{labels['model']} {labels.get('gpu_uuid', '-')}" for labels in found}

    assert labelled() == {"a -", "b -"}
    for address, expected in (("0000:01:00.0", {"a GPU-1f", "b "}), ("0000:02:00.0", {"a -", "b -"})):
        folder = tmp_path / "driver" / "nvidia" / "gpus" / address
        folder.mkdir(parents=True)
        (folder / "information").write_text("Model: \t\t Some GPU\nGPU UUID: \t GPU-1f\nBus Type: \t PCIe\n")
        assert labelled() == expected


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ResourceExhaustedError("full"), FailureReason.REJECTED),
        (CancelledError("left"), FailureReason.CANCELED),
        (GeneratorExit(), FailureReason.CANCELED),
        (InternalError("model"), FailureReason.BACKEND),
        (InvalidArgumentError("shape"), FailureReason.OTHER),
        (ValueError("bug"), FailureReason.OTHER),
    ],
)
def test_reasons(error: BaseException, reason: FailureReason) -> None:
    assert reason_of(error) is reason


def test_the_machine(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(STAT.format(busy=100, idle=900))
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 600 kB\n")
    metrics = TritonMetrics([], tmp_path)
    (tmp_path / "stat").write_text(STAT.format(busy=175, idle=925))
    families = {family.name: [sample.value for sample in family.samples] for family in metrics.collect()}
    assert families["nv_cpu_utilization"] == [0.75]
    assert families["nv_cpu_memory_total_bytes"] == [1000 * 1024]
    assert families["nv_cpu_memory_used_bytes"] == [400 * 1024]


def test_a_system_that_tells_nothing(tmp_path: Path) -> None:
    told = samples(TritonMetrics([], tmp_path / "nothing"))
    assert told == {}


def test_they_are_switched() -> None:
    assert b"nv_inference_count" in Metrics(Settings(), [loaded("m")]).page()[0]
    assert b"nv_" not in Metrics(Settings(triton_metrics=False), [loaded("m")]).page()[0]
