"""Headers that match a setting are parameters of requests, over both wires and every way of asking."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client

from oipserver.errors import InvalidArgumentError
from oipserver.wire.forwarding import HeaderForwarding
from tests.support.server_process import ServerProcess

TELLS = """
from oipserver import MLModel
from oipserver.tensor import Tensor


class Tells(MLModel):
    placement = "in-process"

    def infer_tensors(self, inputs, outputs, parameters):
        told = sorted(f"{key}={value}" for key, value in parameters.items())
        return [Tensor("told", "BYTES", (1,), raw=len(";".join(told)).to_bytes(4, "little") + ";".join(told).encode())]
"""
HEADERS = {"X-User": "ann", "x-trace-id": "7", "authorization": "no"}
EXPECTED = "x-trace-id=7;x-user=mine"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root: Path = tmp_path_factory.mktemp("models")
    (root / "tells.py").write_text(TELLS)
    settings = {"name": "m", "implementation": "tells.Tells"}
    settings |= {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1]}]}
    settings |= {"outputs": [{"name": "told", "datatype": "BYTES", "shape": [1]}]}
    (root / "model-settings.json").write_text(json.dumps(settings))
    patterns = ["--http-header-forward-pattern", "X-.*", "--grpc-header-forward-pattern", "X-.*"]
    with ServerProcess(root, *patterns) as process:
        yield process


def inputs(module: Any) -> list[Any]:
    item = module.InferInput("x", [1], "FP32")
    item.set_data_from_numpy(np.zeros(1, np.float32))
    return [item]


@pytest.mark.process
def test_both_wires(server: ServerProcess) -> None:
    # What the request says itself stays.
    own = {"parameters": {"x-user": "mine"}}
    with http_client.InferenceServerClient(server.http) as client:
        answer = client.infer("m", inputs(http_client), headers=dict(HEADERS), **own)
        assert answer.as_numpy("told").tolist() == [EXPECTED.encode()]
    lower = {key.lower(): value for key, value in HEADERS.items()}
    with grpc_client.InferenceServerClient(server.grpc) as rpc:
        answer = rpc.infer("m", inputs(grpc_client), headers=lower, **own)
        assert answer.as_numpy("told").tolist() == [EXPECTED.encode()]
        found: queue.Queue[Any] = queue.Queue()
        rpc.start_stream(lambda result, error: found.put(error or result), headers=lower)
        rpc.async_stream_infer("m", inputs(grpc_client), **own)
        assert found.get(timeout=10).as_numpy("told").tolist() == [EXPECTED.encode()]
        rpc.stop_stream()
    generated = httpx.post(server.url("/v2/models/m/generate"), json={"x": 0.0}, headers=HEADERS)
    assert generated.json()["told"] == "x-trace-id=7;x-user=ann"


def test_no_expression() -> None:
    with pytest.raises(InvalidArgumentError, match=r"http_header_forward_pattern: '\(' is no regular expression"):
        HeaderForwarding("http_header_forward_pattern", "(")
