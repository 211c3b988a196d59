"""The metrics page says what happened, in names dashboards know, and parses as Prometheus and OpenMetrics."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from oipserver import log, register
from oipserver.protocol import Timings
from oipserver.settings import Settings
from oipserver.telemetry import custom
from oipserver.telemetry.context import model_context
from oipserver.telemetry.metrics import Metrics
from tests.telemetry.plain_models import Model, Queue

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
MS = 1_000_000


@pytest.fixture(autouse=True)
def _restore_sink() -> Iterator[None]:
    yield
    custom.set_sink(None)


def served() -> Model:
    """A model that answered two requests in one batch of five rows, and failed a third."""
    model = Model("digits", "1", scheduler=Queue(3), in_flight=4)
    for received in (0, 1 * MS):
        model.statistics.record_success(Timings(received, 2 * MS, 3 * MS, 7 * MS, 8 * MS))
    model.statistics.record_execution(5, Timings(0, 2 * MS, 3 * MS, 7 * MS, 8 * MS))
    model.statistics.record_failure(10 * MS)
    return model


def metrics_of(*models: Model, **settings: object) -> Metrics:
    return Metrics(Settings.model_validate(settings), models)


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(metrics.page()[0].decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((name, frozenset(labels.items())))


def test_models_in_the_names_of_mlserver() -> None:
    metrics = metrics_of(served(), Model("plain"))
    digits, plain = {"model": "digits", "version": "1"}, {"model": "plain", "version": "None"}
    assert value(metrics, "model_infer_request_success_total", **digits) == 2
    assert value(metrics, "model_infer_request_failure_total", **digits) == 1
    assert value(metrics, "model_infer_request_duration_count", **digits) == 3
    assert value(metrics, "model_infer_request_duration_sum", **digits) == pytest.approx(0.008 + 0.007 + 0.010)
    assert value(metrics, "model_infer_request_success_total", **plain) == 0
    assert value(metrics, "model_infer_request_duration_count", **plain) == 0


def test_models_in_names_of_our_own() -> None:
    metrics = metrics_of(served(), Model("cold", ready=False))
    digits = {"model": "digits", "version": "1"}
    assert value(metrics, "oipserver_inference_rows_total", **digits) == 5
    assert value(metrics, "oipserver_executions_total", **digits) == 1
    assert value(metrics, "oipserver_requests_in_flight", **digits) == 4
    assert value(metrics, "oipserver_requests_queued", **digits) == 3
    assert value(metrics, "oipserver_model_ready", **digits) == 1
    assert value(metrics, "oipserver_model_ready", model="cold", version="None") == 0
    assert value(metrics, "oipserver_model_load_seconds", **digits) == 0.5
    for name, total, bounds in (
        ("oipserver_request_duration_seconds", 0.015, {"0.005": 0, "0.01": 2, "+Inf": 2}),
        ("oipserver_queue_duration_seconds", 0.003, {"0.0005": 0, "0.001": 1, "0.0025": 2}),
        ("oipserver_compute_duration_seconds", 0.008, {"0.0025": 0, "0.005": 2}),
        ("oipserver_batch_size", 5, {"4.0": 0, "8.0": 1, "+Inf": 1}),
    ):
        assert value(metrics, f"{name}_sum", **digits) == pytest.approx(total)
        assert {le: value(metrics, f"{name}_bucket", le=le, **digits) for le in bounds} == bounds


def test_queues_are_sampled_at_each_scrape() -> None:
    model = served()
    metrics = metrics_of(model)
    labels = {"model_name": "digits", "model_version": "1"}
    assert value(metrics, "batch_request_queue_sum", **labels) == 3
    model.scheduler.queued = 5
    assert value(metrics, "batch_request_queue_sum", **labels) == 8
    assert value(metrics, "batch_request_queue_count", **labels) == 3
    assert value(metrics, "parallel_request_queue_sum") == 4 * 4


def test_a_model_that_left_leaves_no_series() -> None:
    models = [served()]
    metrics = Metrics(Settings(), models)
    assert 'model="digits"' in metrics.page()[0].decode()
    models.clear()
    assert "digits" not in metrics.page()[0].decode()


def test_rest_requests() -> None:
    metrics = metrics_of(metrics_rest_server_prefix="my_rest", server_name="us")
    route = "/v2/models/{model_name}/infer"
    for _ in range(3):
        metrics.rest.started()
    metrics.rest.finished("POST", route, 200, 0.003)
    metrics.rest.finished("BREW", route, 405, 0.0001)
    labels = {"app_name": "us", "method": "POST", "path": route, "status_code": "200"}
    assert value(metrics, "my_rest_requests_total", **labels) == 1
    assert value(metrics, "my_rest_request_duration_seconds_sum", **labels) == pytest.approx(0.003)
    assert value(metrics, "my_rest_request_duration_seconds_bucket", le="0.0025", **labels) == 0
    assert value(metrics, "my_rest_request_duration_seconds_bucket", le="0.005", **labels) == 1
    assert value(metrics, "my_rest_requests_total", **{**labels, "method": "OTHER", "status_code": "405"}) == 1
    assert value(metrics, "my_rest_requests_in_progress", app_name="us") == 1


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", "/metrics"])
def test_probes_and_scrapes_are_not_counted(path: str) -> None:
    metrics = metrics_of()
    metrics.rest.started()
    metrics.rest.finished("GET", path, 200, 0.001)
    assert not [key for key in samples(metrics) if key[0].startswith("rest_server_requests_total")]
    assert value(metrics, "rest_server_requests_in_progress", app_name="oipserver") == 0


def test_invented_methods_make_one_series() -> None:
    metrics = metrics_of()
    for number in range(50):
        metrics.rest.started()
        metrics.rest.finished(f"M{number}", "/v2", 405, 0.001)
    series = [key for key in samples(metrics) if key[0] == "rest_server_requests_total"]
    assert len(series) == 1


def test_grpc_calls() -> None:
    metrics = metrics_of()
    infer = "/inference.GRPCInferenceService/ModelInfer"
    for code in ("OK", "OK", "NOT_FOUND"):
        metrics.grpc.started(infer)
        metrics.grpc.finished(infer, code, 0.002)
    metrics.grpc.started(infer)
    labels = {
        "grpc_type": "UNARY",
        "grpc_service": "inference.GRPCInferenceService",
        "grpc_method": "ModelInfer",
    }
    assert value(metrics, "grpc_server_started_total", **labels) == 4
    assert value(metrics, "grpc_server_handled_total", grpc_code="OK", **labels) == 2
    assert value(metrics, "grpc_server_handled_total", grpc_code="NOT_FOUND", **labels) == 1
    assert value(metrics, "grpc_server_msg_received_total", **labels) == 4
    assert value(metrics, "grpc_server_msg_sent_total", **labels) == 2
    assert value(metrics, "grpc_server_handling_seconds_count", **labels) == 3
    assert value(metrics, "grpc_server_handling_seconds_bucket", le="0.0025", **labels) == 3


def test_grpc_streams_count_their_messages() -> None:
    metrics = metrics_of()
    stream = "/inference.GRPCInferenceService/ModelStreamInfer"
    metrics.grpc.started(stream)
    for _ in range(2):
        metrics.grpc.received(stream)
    for _ in range(5):
        metrics.grpc.sent(stream)
    metrics.grpc.finished(stream, "OK", 1.0)
    labels = {
        "grpc_type": "BIDI_STREAMING",
        "grpc_service": "inference.GRPCInferenceService",
        "grpc_method": "ModelStreamInfer",
    }
    assert value(metrics, "grpc_server_msg_received_total", **labels) == 2
    assert value(metrics, "grpc_server_msg_sent_total", **labels) == 5


def busy_page(accept: str) -> tuple[str, str]:
    metrics = metrics_of(served(), Model('odd "name"\n\\'))
    metrics.rest.started()
    metrics.rest.finished("POST", "/v2/models/{model_name}/infer", 200, 0.001)
    metrics.grpc.started("/inference.GRPCInferenceService/ModelInfer")
    metrics.grpc.finished("/inference.GRPCInferenceService/ModelInfer", "OK", 0.001)
    register("tokens_seen", "Tokens a model has seen.", "counter")
    with model_context("digits", "1"):
        log(tokens_seen=7)
    body, content_type = metrics.page(accept)
    return body.decode(), content_type


def checked(families: Iterator[Metric]) -> list[Metric]:
    """What promtool would complain about: help, repeated families and samples, names and units."""
    result = list(families)
    assert all(family.documentation for family in result)
    names = [family.name for family in result]
    assert len(set(names)) == len(names)
    for family in result:
        keys = [(sample.name, frozenset(sample.labels.items())) for sample in family.samples]
        assert len(set(keys)) == len(keys), family.name
        assert not any(part in family.name for part in ("millisecond", "nanosecond", "minute")), family.name
        if family.type == "histogram":
            assert any(sample.labels.get("le") == "+Inf" for sample in family.samples) or not family.samples
    return result


def test_text_format() -> None:
    page, content_type = busy_page("")
    assert content_type.startswith("text/plain; version=0.0.4")
    names = {family.name for family in checked(parse_text(page))}
    assert {"process_resident_memory_bytes", "python_info", "oipserver_info", "tokens_seen"} <= names


def test_openmetrics_when_asked_for() -> None:
    page, content_type = busy_page(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    assert page.endswith("# EOF\n")
    names = {family.name for family in checked(parse_openmetrics(page))}
    assert {"model_infer_request_success", "rest_server_requests", "grpc_server_handled", "oipserver"} <= names


def test_two_servers_in_one_process_do_not_meet() -> None:
    first, second = metrics_of(served()), metrics_of(Model("other"))
    assert "other" not in first.page()[0].decode()
    assert "digits" not in second.page()[0].decode()


@dataclass
class Pool:
    """What the manager of pools yields, as plain data."""

    name: str
    workers: list[str]
    deaths: int = 0
    restarts: int = 0


def test_pools_tell_of_their_workers_while_they_run() -> None:
    pools = [Pool("default", ["a", "b"], deaths=3, restarts=2), Pool("gid x", []), Pool("gid x", ["c"], deaths=1)]
    metrics = Metrics(Settings(), [])
    metrics.add_pools(lambda: pools)
    body, _ = metrics.page()
    found = {
        (sample.name, sample.labels["pool"]): sample.value
        for family in parse_text(body.decode())
        for sample in family.samples
        if "pool" in sample.labels
    }
    assert found == {
        ("oipserver_workers", "default"): 2,
        ("oipserver_workers", "gid x"): 1,
        ("oipserver_worker_deaths_total", "default"): 3,
        ("oipserver_worker_deaths_total", "gid x"): 1,
        ("oipserver_worker_restarts_total", "default"): 2,
        ("oipserver_worker_restarts_total", "gid x"): 0,
    }
    pools.clear()
    body, _ = metrics.page()
    assert b'pool="' not in body
