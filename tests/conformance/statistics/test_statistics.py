"""The statistics extension through Triton's clients: every member, durations that add up, batches, streams, cache."""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http as http_client
import tritonclient.http.aio as http_aio
from tritonclient.utils import InferenceServerException

from tests.support.models import write_identity_model
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

DURATIONS = ["success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss"]
OF_RESPONSES = ["compute_infer", "compute_output", "success", "fail", "empty_response", "cancel"]
OF_BATCHES = ["compute_input", "compute_infer", "compute_output"]
PARTS = ["queue", "compute_input", "compute_infer", "compute_output", "cache_hit"]

COUNTING = """
from oipserver import MLModel
from oipserver.codecs import NumpyCodec
from oipserver.errors import InvalidArgumentError
from oipserver.types import InferenceResponse
import numpy as np


class Counting(MLModel):
    async def predict_stream(self, payloads):
        async for payload in payloads:
            number = int(payload.inputs[0].data[0])
            for value in range(number if number >= 0 else 1):
                outputs = [] if value == 2 else [NumpyCodec.encode_output("n", np.array([value]))]
                yield InferenceResponse(model_name=self.name, outputs=outputs)
            if number < 0:
                raise InvalidArgumentError("no further")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("models")
    for name, more in {
        "batched": {"max_batch_size": 4},
        "cached": {"cache_enabled": True},
        "failing": {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}], "enforce_inputs": True},
    }.items():
        write_identity_model(root / name, "FP32", 2)
        settings = {"name": name, "implementation": "onnx", "parameters": {"uri": "./model.onnx"}, **more}
        (root / name / "model-settings.json").write_text(json.dumps(settings))
    for version in ("1", "2"):
        write_identity_model(root / "versions" / version, "FP32", 2)
        settings = {"name": "versions", "implementation": "onnx"}
        settings["parameters"] = {"uri": "./model.onnx", "version": version}
        (root / "versions" / version / "model-settings.json").write_text(json.dumps(settings))
    (root / "counting").mkdir()
    (root / "counting" / "counting.py").write_text(COUNTING)
    (root / "counting" / "model-settings.json").write_text(
        json.dumps({"name": "counting", "implementation": "counting.Counting", "parallel_workers": 0})
    )
    with ServerProcess(root, "--cache-enabled") as process:
        yield process


def data(rows: int = 1) -> Any:
    item = http_client.InferInput("x", [rows, 2], "FP32")
    item.set_data_from_numpy(np.zeros((rows, 2), np.float32))
    return item


@pytest.fixture(params=["http", "grpc"])
def told(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[Callable[..., list[Any]]]:
    """Statistics over one wire, as plain values: ``told("model", "version")``."""
    module, address = (http_client, server.http) if request.param == "http" else (grpc_client, server.grpc)
    client = module.InferenceServerClient(address)

    def ask(name: str = "", version: str = "") -> list[Any]:
        options = {} if request.param == "http" else {"as_json": True}
        answer = client.get_inference_statistics(name, version, **options)
        return [normal(model) for model in answer["model_stats"]]

    yield ask
    client.close()


def normal(value: Any) -> Any:
    """JSON of messages tells 64-bit integers as text and leaves out what is nought."""
    if isinstance(value, dict):
        return {key: item if key in ("name", "version") else normal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [normal(item) for item in value]
    return int(value) if isinstance(value, str) else value


def count(model: dict[str, Any], name: str, what: str = "inference_stats") -> int:
    return int(model[what].get(name, {}).get("count", 0))


def ns(model: dict[str, Any], name: str) -> int:
    return int(model["inference_stats"].get(name, {}).get("ns", 0))


def test_every_member_is_there_over_rest(server: ServerProcess) -> None:
    for model in server.get("/v2/models/stats").json()["model_stats"]:
        assert list(model) == [
            "name",
            "version",
            "last_inference",
            "inference_count",
            "execution_count",
            "inference_stats",
            "response_stats",
            "batch_stats",
            "memory_usage",
        ]
        assert list(model["inference_stats"]) == DURATIONS
        for duration in model["inference_stats"].values():
            assert list(duration) == ["count", "ns"]
            assert all(type(value) is int and value >= 0 for value in duration.values())
        for batch in model["batch_stats"]:
            assert list(batch) == ["batch_size", *OF_BATCHES]


def test_durations_add_up(server: ServerProcess, told: Callable[..., list[Any]]) -> None:
    (before,) = told("batched")
    client = http_client.InferenceServerClient(server.http)
    for rows in (1, 3, 3):
        client.infer("batched", [data(rows)])
    (after,) = told("batched")
    assert count(after, "success") - count(before, "success") == 3
    assert after["inference_count"] - before.get("inference_count", 0) == 7
    assert after["execution_count"] - before.get("execution_count", 0) == 3
    assert ns(after, "success") == sum(ns(after, part) for part in PARTS)
    assert ns(after, "compute_infer") > ns(before, "compute_infer")
    by_size = {batch["batch_size"]: batch for batch in after["batch_stats"]}
    assert set(by_size) >= {1, 3}
    assert sum(batch["compute_infer"]["count"] for batch in by_size.values()) == after["execution_count"]
    assert after["last_inference"] >= before.get("last_inference", 0) > -1
    client.close()


def test_failures_are_counted_apart(server: ServerProcess, told: Callable[..., list[Any]]) -> None:
    (before,) = told("failing")
    client = grpc_client.InferenceServerClient(server.grpc)
    wrong = grpc_client.InferInput("wrong", [1, 2], "FP32")
    wrong.set_data_from_numpy(np.zeros((1, 2), np.float32))
    with pytest.raises(InferenceServerException):
        client.infer("failing", [wrong])
    (after,) = told("failing")
    assert count(after, "fail") == count(before, "fail") + 1
    assert count(after, "success") == count(before, "success")
    client.close()


def test_hits_and_misses_of_the_cache(server: ServerProcess, told: Callable[..., list[Any]]) -> None:
    client = http_client.InferenceServerClient(server.http)
    client.infer("cached", [data()])
    (before,) = told("cached")
    client.infer("cached", [data()])
    (after,) = told("cached")
    assert count(after, "cache_miss") == count(before, "cache_miss") == 1
    assert ns(after, "cache_miss") > 0
    assert count(after, "cache_hit") == count(before, "cache_hit") + 1
    assert ns(after, "cache_hit") > ns(before, "cache_hit")
    assert after["inference_count"] == before["inference_count"] == 1  # a hit runs nothing
    assert count(after, "success") == count(after, "queue") == count(after, "cache_hit") + 1
    assert ns(after, "success") == sum(ns(after, part) for part in PARTS)
    client.close()


def test_versions_are_told_apart(told: Callable[..., list[Any]]) -> None:
    assert [model["version"] for model in told("versions")] == ["1", "2"]
    assert [model["version"] for model in told("versions", "2")] == ["2"]
    with pytest.raises(InferenceServerException, match="requested model version is not available for model 'versions'"):
        told("versions", "9")


def test_all_models(told: Callable[..., list[Any]]) -> None:
    names = [(model["name"], model.get("version", "")) for model in told()]
    assert names == sorted(names)
    assert len(names) == 6


def test_an_unknown_model(server: ServerProcess, told: Callable[..., list[Any]]) -> None:
    with pytest.raises(InferenceServerException, match="requested model 'nope' is not available"):
        told("nope")
    answer = server.get("/v2/models/nope/stats")
    assert (answer.status_code, answer.json()) == (400, {"error": "requested model 'nope' is not available"})


def stream(server: ServerProcess, number: int, expected: int) -> None:
    answers: queue.Queue[Any] = queue.Queue()
    client = grpc_client.InferenceServerClient(server.grpc)
    item = grpc_client.InferInput("n", [1], "INT64")
    item.set_data_from_numpy(np.array([number]))
    client.start_stream(lambda result, error: answers.put(error or result))
    client.async_stream_infer("counting", [item], enable_empty_final_response=number >= 0)
    for _ in range(expected):
        answers.get(timeout=10)
    client.stop_stream()
    client.close()


def test_answers_of_streams_one_by_one(server: ServerProcess) -> None:
    def ask() -> dict[str, Any]:
        (model,) = server.get("/v2/models/counting/stats").json()["model_stats"]
        return dict(model)

    stream(server, 3, 4)
    responses = ask()["response_stats"]
    assert list(responses) == ["0", "1", "2"]
    assert all(list(response) == OF_RESPONSES for response in responses.values())
    assert [response["success"]["count"] for response in responses.values()] == [1, 1, 0]
    assert responses["2"]["empty_response"]["count"] == 1
    first = responses["0"]
    assert first["success"]["ns"] == first["compute_infer"]["ns"] + first["compute_output"]["ns"] > 0
    stream(server, -1, 2)
    stream(server, 0, 1)
    after = ask()
    assert after["response_stats"]["1"]["fail"]["count"] == 1
    assert after["response_stats"]["0"]["empty_response"]["count"] == 1
    assert after["response_stats"]["0"]["success"]["count"] == 2
    assert after["inference_stats"]["success"]["count"] == 2
    assert after["inference_stats"]["fail"]["count"] == 1
    assert after["inference_stats"]["success"]["ns"] == sum(after["inference_stats"][part]["ns"] for part in PARTS)


def test_asyncio_clients(server: ServerProcess) -> None:
    async def main() -> None:
        async with http_aio.InferenceServerClient(server.http) as http:
            assert (await http.get_inference_statistics("batched"))["model_stats"][0]["name"] == "batched"
        async with grpc_aio.InferenceServerClient(server.grpc) as client:
            assert (await client.get_inference_statistics("batched")).model_stats[0].name == "batched"

    asyncio.run(main())


def test_only_get(server: ServerProcess) -> None:
    assert httpx.post(server.url("/v2/models/stats")).status_code == 405
