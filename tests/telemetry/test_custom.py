"""Metrics of a model's own code: declared, labelled with the model, shipped as plain data, never harmful."""

import pickle
from collections.abc import Iterator
from threading import Thread

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from oipserver.telemetry import custom
from oipserver.telemetry.context import current_model, model_context
from oipserver.telemetry.custom import MetricEvent, log, register
from oipserver.telemetry.custom_metrics import CustomMetrics


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[MetricEvent]]:
    monkeypatch.setattr(custom, "_declared", {})
    seen: list[MetricEvent] = []
    custom.set_sink(seen.append)
    yield seen
    custom.set_sink(None)


def test_values_carry_the_model(events: list[MetricEvent]) -> None:
    latency = register("latency", "Time it took.")
    with model_context("digits", "1"):
        latency.log(0.5)
        with model_context("inner", ""):
            log(latency=1, unseen=2)
        log(latency=3)
    log(latency=4)
    assert events == [
        MetricEvent("latency", "histogram", "Time it took.", 0.5, "digits", "1"),
        MetricEvent("latency", "histogram", "Time it took.", 1.0, "inner", ""),
        MetricEvent("unseen", "histogram", "Logged by a model as 'unseen'.", 2.0, "inner", ""),
        MetricEvent("latency", "histogram", "Time it took.", 3.0, "digits", "1"),
        MetricEvent("latency", "histogram", "Time it took.", 4.0, "", ""),
    ]
    assert pickle.loads(pickle.dumps(tuple(events[0]))) == tuple(events[0])


def test_the_context_belongs_to_one_thread() -> None:
    seen = []
    with model_context("digits", "1"):
        thread = Thread(target=lambda: seen.append(current_model()))
        thread.start()
        thread.join()
    assert seen == [("", "")]


def test_declaring_again(events: list[MetricEvent]) -> None:
    first = register("seen", "Things seen.", "counter")
    assert register("seen", "Said otherwise.", "counter") is first
    with pytest.raises(ValueError, match="'seen' is already registered as a counter, not a gauge"):
        register("seen", "Things seen.", "gauge")


@pytest.mark.parametrize("name", ["", "1st", "with-dash", "with space", "größe"])
def test_names_prometheus_refuses(events: list[MetricEvent], name: str) -> None:
    with pytest.raises(ValueError, match="is no metric name"):
        register(name, "No.")


def test_mistakes_are_told_to_the_model(events: list[MetricEvent]) -> None:
    with pytest.raises(ValueError, match="unknown kind 'summary', expected one of histogram, counter, gauge"):
        register("x", "No.", "summary")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="metric 'x': expected a number, got str"):
        log(x="many")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a counter only grows, got -1"):
        register("grows", "Only.", "counter").log(-1)
    with pytest.raises(ValueError, match="cannot hold NaN"):
        log(x=float("nan"))
    assert events == []


def test_events_reach_the_page() -> None:
    registry = CollectorRegistry()
    sink = CustomMetrics(registry)
    sink.record(MetricEvent("loss", "gauge", "Loss.", 1.0, "m", "1"))
    sink.record(MetricEvent("loss", "gauge", "Loss.", 0.5, "m", "1"))
    sink.record(MetricEvent("seen", "counter", "Seen.", 2.0, "m", "1"))
    sink.record(MetricEvent("seen", "counter", "Seen.", 3.0, "m", "1"))
    sink.record(MetricEvent("took", "histogram", "Took.", 0.2, "m", ""))
    page = generate_latest(registry).decode()
    assert 'loss{model_name="m",model_version="1"} 0.5' in page
    assert 'seen_total{model_name="m",model_version="1"} 5.0' in page
    assert 'took_sum{model_name="m",model_version=""} 0.2' in page
    assert 'took_count{model_name="m",model_version=""} 1.0' in page


def test_a_taken_name_is_dropped_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    registry = CollectorRegistry()
    sink = CustomMetrics(registry)
    sink.record(MetricEvent("loss", "gauge", "Loss.", 1.0, "m", "1"))
    for _ in range(3):
        sink.record(MetricEvent("loss", "histogram", "Loss.", 9.0, "m", "1"))
    assert len(caplog.records) == 1
    assert "custom metric 'loss' (histogram) is dropped" in caplog.text
    assert 'loss{model_name="m",model_version="1"} 1.0' in generate_latest(registry).decode()


def test_without_a_server_nobody_is_told() -> None:
    custom.set_sink(None)
    log(somewhere=1.0)
