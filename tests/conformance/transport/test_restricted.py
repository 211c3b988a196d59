"""APIs that need a header: refused without it in Triton's words, answered with it, on both wires."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.utils import InferenceServerException

from oipserver.errors import InvalidArgumentError
from oipserver.wire.rest.restricted import api_of
from oipserver.wire.restricted import Needed, restricted_apis
from tests.support.models import write_identity_model
from tests.support.server_process import ServerProcess

HEADER = {"admin-key": "secret=1"}
METADATA = {"triton-grpc-protocol-admin-key": "secret=1"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root: Path = tmp_path_factory.mktemp("models")
    write_identity_model(root / "m", "FP32", 1)
    some = "inference,health,model-repository:Admin-Key=secret=1"
    more = "logging:other=x"
    options = [("--http-restricted-api", some), ("--grpc-restricted-protocol", some)]
    options += [(name, more) for name, _ in options]
    ready = [part for option in options for part in option]
    with ServerProcess(root, *ready) as process:
        yield process


def inputs(module: Any) -> list[Any]:
    item = module.InferInput("x", [1], "FP32")
    item.set_data_from_numpy(np.zeros(1, np.float32))
    return [item]


@pytest.mark.process
def test_rest(server: ServerProcess) -> None:
    with http_client.InferenceServerClient(server.http) as client:
        with pytest.raises(InferenceServerException, match="This API is restricted, expecting header 'admin-key'"):
            client.infer("m", inputs(http_client))
        client.infer("m", inputs(http_client), headers=HEADER)
        assert not client.is_server_ready()
        assert client.is_server_ready(headers=HEADER)
        assert client.get_server_metadata()["name"]
        with pytest.raises(InferenceServerException, match="expecting header 'other'"):
            client.get_log_settings(headers=HEADER)
    for path in ("/v2/models/m/infer", "/v2/models/m/infer?x=1", "/v2/models/m/generate", "/v2/repository/index"):
        for headers in ({}, {"admin-key": "wrong"}):
            answer = httpx.post(server.url(path), json={}, headers=headers)
            assert (answer.status_code, "expecting header 'admin-key'" in answer.json()["error"]) == (403, True), path


@pytest.mark.process
def test_grpc(server: ServerProcess) -> None:
    words = "This protocol is restricted, expecting header 'triton-grpc-protocol-admin-key'"
    with grpc_client.InferenceServerClient(server.grpc) as client:
        with pytest.raises(InferenceServerException, match=words) as raised:
            client.infer("m", inputs(grpc_client))
        assert raised.value.status() == "StatusCode.UNAVAILABLE"
        assert client.infer("m", inputs(grpc_client), headers=METADATA).as_numpy("y").tolist() == [0.0]
        assert client.is_server_ready(headers=METADATA)
        assert client.get_server_metadata().name
        found: queue.Queue[Any] = queue.Queue()
        client.start_stream(lambda result, error: found.put(error or result))
        assert words in str(found.get(timeout=10))
        client.stop_stream()
    with grpc.insecure_channel(server.grpc) as channel:
        with pytest.raises(grpc.RpcError, match=words):
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        with pytest.raises(grpc.RpcError, match=words):
            next(iter(health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())))


@pytest.mark.parametrize(
    "words",
    [
        ["a,b:K=v"],
        ["inference:"],
        ["inference:k"],
        ["inference:k="],
        ["inference"],
        ["trace:k=v", "trace:l=w"],
        [":k=v"],
    ],
)
def test_mistakes(words: list[str]) -> None:
    with pytest.raises(InvalidArgumentError, match="http_restricted_api"):
        restricted_apis("http_restricted_api", words)


def test_groups_taken_apart_at_commas_are_put_together_again() -> None:
    words = ["health", "trace:Key=a:b", "logging:other=c"]
    key, other = Needed("p-key", "a:b"), Needed("p-other", "c")
    assert restricted_apis("x", words, "p-") == {"health": key, "trace": key, "logging": other}


@pytest.mark.parametrize(
    ("path", "api"),
    [
        ("/v2", "metadata"),
        ("/v2/", "metadata"),
        ("/v2/models/m", "metadata"),
        ("/v2/models/m/versions/1", "metadata"),
        ("/v2/models/stats", "statistics"),
        ("/v2/models/m/versions/1/stats", "statistics"),
        ("/v2/models/m/versions/1/infer", "inference"),
        ("/v2/models/m/generate_stream", "inference"),
        ("/v2/models/m/ready", "health"),
        ("/v2/health/live", "health"),
        ("/v2/models/m/config", "model-config"),
        ("/v2/models/m/trace/setting", "trace"),
        ("/v2/logging", "logging"),
        ("/v2/repository/models/m/load", "model-repository"),
        ("/v2/cudasharedmemory/status", "shared-memory"),
        ("/v2/docs", None),
        ("/v2/models/m/docs", None),
        ("/metrics", None),
        ("/prefix/v2/models/m/infer", "inference"),
    ],
)
def test_paths(path: str, api: str | None) -> None:
    assert api_of(path) == api
