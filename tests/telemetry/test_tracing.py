"""Spans as a collector receives them, from a real server over both wires."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as collector_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as collector_grpc

from oipserver.app import Server, StartReport
from oipserver.errors import InvalidArgumentError
from oipserver.handlers import custom_handler
from oipserver.model import MLModel
from oipserver.pb import inference_pb2 as pb
from oipserver.settings import Settings
from oipserver.telemetry.tracing import Tracing
from oipserver.types import InferenceRequest, InferenceResponse, ResponseOutput, TensorData
from oipserver.wire.grpc import SERVICE

HERE = __name__
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


class Model(MLModel):
    """Fails, streams and tells whose child its spans would be."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        if payload.id == "fail":
            raise InvalidArgumentError("the caller did it")
        await asyncio.sleep(0.001)
        assert payload.parameters is not None
        parent = TensorData(root=[payload.parameters.headers["traceparent"]])
        told = ResponseOutput(name="parent", shape=[1], datatype="BYTES", data=parent)
        return InferenceResponse(model_name=self.name, outputs=[told])

    async def predict_stream(self, payloads: AsyncIterator[InferenceRequest]) -> AsyncIterator[InferenceResponse]:
        async for _ in payloads:
            for _ in range(3):
                yield InferenceResponse(model_name=self.name, outputs=[])

    @custom_handler("/hello", "GET")
    async def hello(self) -> str:
        return "hi"


class Collector(collector_grpc.TraceServiceServicer):
    """Keeps the spans it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
        for resource in request.resource_spans:
            told = {item.key: item.value.string_value for item in resource.resource.attributes}
            self.services.add(told["service.name"])
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        return collector_pb.ExportTraceServiceResponse()

    def of(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]

    def below(self, parent: Any) -> dict[str, Any]:
        return {span.name: span for span in self.spans if span.parent_span_id == parent.span_id}


@pytest.fixture
def collector() -> Iterator[Collector]:
    kept = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    collector_grpc.add_TraceServiceServicer_to_server(kept, server)
    kept.port = server.add_insecure_port("127.0.0.1:0")  # type: ignore[attr-defined]
    server.start()
    yield kept
    server.stop(None).wait()


def attributes(span: Any) -> dict[str, str]:
    return {item.key: item.value.string_value for item in span.attributes}


@asynccontextmanager
async def serving(folder: Path, address: str, **options: Any) -> AsyncIterator[StartReport]:
    (folder / "m").mkdir()
    (folder / "m" / "model-settings.json").write_text(f'{{"implementation": "{HERE}.Model"}}')
    ports = {"http_port": 0, "grpc_port": 0, "metrics_port": 0}
    server = Server(Settings(host="127.0.0.1", tracing_server=address, server_name="mine", **ports, **options), folder)
    report = await server.start()
    try:
        yield report
    finally:
        await server.stop()


BODY = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1.5]}]}


@pytest.mark.parametrize("workers", [0, 1], ids=["in-process", "worker"])
def test_a_request_over_rest(tmp_path: Path, collector: Collector, workers: int) -> None:
    async def scenario() -> None:
        async with (
            serving(tmp_path, f"127.0.0.1:{collector.port}", parallel_workers=workers) as report,  # type: ignore[attr-defined]
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{report.http_port}") as client,
        ):
            headers = {"traceparent": TRACEPARENT}
            answer = await client.post("/v2/models/m/infer", json={**BODY, "id": "7"}, headers=headers)
            parents.extend(answer.json()["outputs"][0]["data"])
            assert (await client.post("/v2/models/m/infer", json={**BODY, "id": "fail"})).status_code == 400
            assert (await client.post("/v2/models/nope/infer", json=BODY)).status_code == 404
            assert (await client.post("/v2/models/m/infer_stream", json=BODY)).status_code == 200
            assert (await client.get("/hello", headers=headers)).json() == "hi"
            assert (await client.get("/v2/health/ready")).status_code == 200

    parents: list[str] = []
    before = time.time_ns()
    asyncio.run(scenario())
    assert collector.services == {"mine"}
    good, failed, unknown = collector.of("infer")
    assert (good.trace_id.hex(), good.parent_span_id.hex()) == (TRACE, PARENT)
    assert parents == [
        f"00-{TRACE}-{good.span_id.hex()}-01"
    ]  # what a model does lies below its request, in a worker too
    assert good.kind == 2  # SERVER
    assert attributes(good)["oipserver.model.name"] == "m"
    assert attributes(good)["oipserver.request.id"] == "7"
    assert before < good.start_time_unix_nano < good.end_time_unix_nano < time.time_ns()
    stages = collector.below(good)
    assert {"queue", "prepare", "execute"} <= stages.keys()
    for stage in stages.values():
        assert good.start_time_unix_nano <= stage.start_time_unix_nano <= stage.end_time_unix_nano
        assert stage.end_time_unix_nano <= good.end_time_unix_nano + 1_000_000
    assert stages["execute"].end_time_unix_nano - stages["execute"].start_time_unix_nano >= 1_000_000
    assert ("worker" in attributes(stages["execute"])["oipserver.executor"]) == bool(workers)
    assert (failed.status.code, failed.status.message) == (2, "the caller did it")
    assert attributes(failed)["error.type"] == "INVALID_ARGUMENT"
    assert failed.parent_span_id == b""
    assert attributes(unknown)["error.type"] == "NOT_FOUND"
    assert [event.name for event in collector.of("infer_stream")[0].events] == ["answer"] * 3
    handler = collector.of("handler")[0]
    assert (handler.trace_id.hex(), attributes(handler)["oipserver.handler"]) == (TRACE, "hello")
    stages_of_all = {"queue", "prepare", "execute", "respond"}
    assert {span.name for span in collector.spans} - stages_of_all == {"infer", "infer_stream", "handler"}


def test_a_request_over_grpc(tmp_path: Path, collector: Collector) -> None:
    def ask(port: int) -> None:
        message = pb.ModelInferRequest(model_name="m")
        message.inputs.add(name="x", datatype="FP32", shape=[1]).contents.fp32_contents.append(1)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            method = channel.unary_unary(
                f"/{SERVICE}/ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
            )
            method(message, timeout=20, metadata=[("traceparent", TRACEPARENT)])

    async def scenario() -> None:
        async with serving(tmp_path, f"http://127.0.0.1:{collector.port}", parallel_workers=0) as report:  # type: ignore[attr-defined]
            await asyncio.to_thread(ask, report.grpc_port)

    asyncio.run(scenario())
    (span,) = collector.of("infer")
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert "execute" in collector.below(span)


def test_spans_of_a_models_own_are_below_its_request(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    tracing = Tracing(f"127.0.0.1:{collector.port}", "mine", "1")  # type: ignore[attr-defined]
    span = tracing.start("infer", None, {})
    with span.current():
        tracing._tracer.start_span("of the model").end()
    span.finish()
    tracing.close()
    assert "of the model" in collector.below(collector.of("infer")[0])


def test_a_caller_that_samples_nothing_gets_no_spans(collector: Collector) -> None:
    tracing = Tracing(f"127.0.0.1:{collector.port}", "mine", "1")  # type: ignore[attr-defined]
    tracing.start("infer", {"traceparent": f"00-{TRACE}-{PARENT}-00"}, {}).finish()
    tracing.close()
    assert collector.spans == []


def test_a_collector_that_is_not_there_holds_nobody_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            serving(tmp_path, "127.0.0.1:1", parallel_workers=0) as report,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{report.http_port}") as client,
        ):
            assert (await client.post("/v2/models/m/infer", json=BODY)).status_code == 200

    started = time.monotonic()
    asyncio.run(scenario())
    assert time.monotonic() - started < 15
    assert not [thread for thread in threading.enumerate() if "tracing" in thread.name and not thread.daemon]


def test_without_the_packages_there_is_one_line_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(InvalidArgumentError, match=r"pip install 'oipserver\[otel\]'"):
        Tracing("localhost:4317", "mine", "1")


def test_a_server_that_traces_nothing_imports_nothing_for_it() -> None:
    import subprocess

    code = "import sys, oipserver.app; print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
