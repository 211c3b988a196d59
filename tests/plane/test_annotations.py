"""Ids and CloudEvents headers: what models see of them, and what callers get, on both wires."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import httpx
import pytest

from oipserver.app import Server, StartReport
from oipserver.model import MLModel
from oipserver.pb import inference_pb2 as pb
from oipserver.plane import CloudEvents
from oipserver.settings import Settings
from oipserver.types import InferenceRequest, InferenceResponse, ResponseOutput, TensorData
from oipserver.wire.grpc import SERVICE

HERE = __name__
BODY = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1.5]}]}
SOURCE = "io.seldon.serving.deployment.mine"


class Model(MLModel):
    """Answers with the id and the headers it was given."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        told = payload.parameters.headers if payload.parameters else None
        words = [payload.id or "", json.dumps(told or {})]
        output = ResponseOutput(name="told", shape=[2], datatype="BYTES", data=TensorData(root=words))
        return InferenceResponse(model_name=self.name, outputs=[output])

    async def predict_stream(self, payloads: AsyncIterator[InferenceRequest]) -> AsyncIterator[InferenceResponse]:
        async for payload in payloads:
            yield await self.predict(payload)


@asynccontextmanager
async def serving(folder: Path, **options: Any) -> AsyncIterator[tuple[StartReport, httpx.AsyncClient]]:
    (folder / "m").mkdir()
    (folder / "m" / "model-settings.json").write_text(f'{{"implementation": "{HERE}.Model"}}')
    ports = {"http_port": 0, "grpc_port": 0, "metrics_port": 0}
    server = Server(Settings(host="127.0.0.1", server_name="mine", parallel_workers=0, **ports, **options), folder)
    report = await server.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{report.http_port}") as client:
            yield report, client
    finally:
        await server.stop()


def told(answer: httpx.Response) -> tuple[str, dict[str, str]]:
    id_, headers = answer.json()["outputs"][0]["data"]
    return id_, json.loads(headers)


def test_nothing_is_added_unless_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (_, client):
            answer = await client.post("/v2/models/m/infer", json=BODY)
            assert "id" not in answer.json()
            id_, headers = told(answer)
            assert id_ == ""
            assert not [name for name in (*headers, *answer.headers) if name.lower().startswith("ce-")]

    asyncio.run(scenario())


def test_ids_are_made_for_requests_without_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, generate_ids=True) as (report, client):
            first, second = [await client.post("/v2/models/m/infer", json=BODY) for _ in range(2)]
            assert first.json()["id"] != second.json()["id"]
            assert UUID(first.json()["id"]).version == 4
            assert told(first)[0] == first.json()["id"]
            named = await client.post("/v2/models/m/infer", json={**BODY, "id": "7"})
            assert named.json()["id"] == "7"
            assert (await asyncio.to_thread(ask, report.grpc_port))[0].id
            events = (await client.post("/v2/models/m/infer_stream", json=BODY)).text
            assert UUID(json.loads(events.removeprefix("data: "))["id"])

    asyncio.run(scenario())


def test_cloudevents_headers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, cloudevents_enabled=True) as (report, client):
            answer = await client.post("/v2/models/m/infer", json={**BODY, "id": "7"}, headers={"x-mine": "yes"})
            _, headers = told(answer)
            common = {
                "Ce-Specversion": "0.3",
                "Ce-Source": SOURCE,
                "Ce-Modelid": "m",
                "Ce-Inferenceservicename": "mine",
                "Ce-Endpoint": "m",
                "Ce-Id": "7",
                "Ce-Requestid": "7",
            }
            expected = {**common, "Ce-Type": "io.seldon.serving.inference.request"}
            assert {name: value for name, value in headers.items() if name.startswith("Ce-")} == expected
            assert headers["x-mine"] == "yes"
            expected = {**common, "Ce-Type": "io.seldon.serving.inference.response"}
            assert {name: answer.headers.get(name) for name in expected} == expected
            nameless = await client.post("/v2/models/m/infer", json=BODY)
            assert "ce-id" not in nameless.headers
            assert nameless.headers["ce-endpoint"] == "m"
            _, trailing = await asyncio.to_thread(ask, report.grpc_port)
            assert trailing["ce-type"] == "io.seldon.serving.inference.response"

    asyncio.run(scenario())


def ask(port: int) -> tuple[pb.ModelInferResponse, dict[str, str]]:
    message = pb.ModelInferRequest(model_name="m")
    message.inputs.add(name="x", datatype="FP32", shape=[1]).contents.fp32_contents.append(1)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = channel.unary_unary(
            f"/{SERVICE}/ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
        )
        answer, call = method.with_call(message, timeout=20)
        return answer, dict(call.trailing_metadata())


@pytest.mark.parametrize(("text", "source"), [("prod\n", f"{SOURCE}.prod"), (None, SOURCE)])
def test_the_namespace_of_kubernetes(tmp_path: Path, text: str | None, source: str) -> None:
    file = tmp_path / "namespace"
    if text:
        file.write_text(text)
    headers = CloudEvents("mine", file).of("request", "m", "")
    assert headers["Ce-Source"] == source
    assert headers.get("Ce-Namespace") == (text.strip() if text else None)
