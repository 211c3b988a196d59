"""The trace extension through Triton's clients: settings, their mistakes, and the files that traces are read from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from tritonclient.utils import InferenceServerException

from tests.support.models import write_identity_model
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

STAGES = [
    "REQUEST_START",
    "QUEUE_START",
    "COMPUTE_START",
    "COMPUTE_INPUT_END",
    "COMPUTE_OUTPUT_START",
    "COMPUTE_END",
    "REQUEST_END",
]
Ask = Callable[..., dict[str, Any]]


def settings(server: ServerProcess, wire: str) -> Ask:
    """``ask("model", name=value)`` changes what is given and tells all, as JSON does."""
    if wire == "http":
        client = http_client.InferenceServerClient(server.http)
        return lambda model="", **changes: dict(
            client.update_trace_settings(model, changes) if changes else client.get_trace_settings(model)
        )
    rpc = grpc_client.InferenceServerClient(server.grpc)

    def ask(model: str = "", **changes: Any) -> dict[str, Any]:
        answer = rpc.update_trace_settings(model, changes) if changes else rpc.get_trace_settings(model)
        told = {name: list(value.value) for name, value in answer.settings.items()}
        return {name: values if name == "trace_level" else values[0] for name, values in told.items()}

    return ask


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for name in ("one", "two"):
        write_identity_model(root / name, "FP32", 2)
    return root


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ServerProcess]:
    with ServerProcess(folder) as process:
        yield process


def infer(server: ServerProcess, wire: str, model: str, times: int = 1, request_id: str = "") -> None:
    module: Any = http_client if wire == "http" else grpc_client
    with module.InferenceServerClient(server.http if wire == "http" else server.grpc) as client:
        item = module.InferInput("x", [1, 2], "FP32")
        item.set_data_from_numpy(np.array([[0.5, 2]], np.float32))
        for _ in range(times):
            client.infer(model, [item], request_id=request_id)


def test_without_a_file_settings_are_kept_and_told(server: ServerProcess) -> None:
    http, grpc = settings(server, "http"), settings(server, "grpc")
    first = {
        "trace_level": ["OFF"],
        "trace_rate": "1000",
        "trace_count": "-1",
        "log_frequency": "0",
        "trace_file": "",
        "trace_mode": "triton",
    }
    assert http() == grpc() == http("one") == grpc("two") == first
    assert http(trace_level=["TIMESTAMPS", "TENSORS"])["trace_level"] == ["TIMESTAMPS", "TENSORS"]
    of_one = {**first, "trace_level": ["OFF"], "trace_rate": "7"}
    assert grpc("one", trace_rate="7", trace_level="OFF") == of_one
    # A global change reaches the models in what they have not set themselves.
    assert http(trace_rate="5", trace_count="9")["trace_rate"] == "5"
    assert grpc("one") == {**of_one, "trace_count": "9"}
    assert grpc("two") == {**first, "trace_level": ["TIMESTAMPS", "TENSORS"], "trace_rate": "5", "trace_count": "9"}
    assert http("one", trace_rate=None, trace_level=None) == grpc("two")
    cleared = {"trace_level": None, "trace_rate": None, "trace_count": None, "log_frequency": None}
    assert grpc(**cleared) == first == http("one")


@pytest.mark.parametrize("wire", ["http", "grpc"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trace_file": "x"}, "trace file location can not be updated through network protocol"),
        ({"trace_rate": "abc"}, "Unable to parse 'trace_rate', got: abc"),
        ({"trace_count": "-2"}, "Unable to parse 'trace_count'. Expecting value >= -1, got:-2"),
        ({"log_frequency": "99999999999"}, "Unable to parse 'log_frequency', value is out of range"),
        ({"trace_level": ["OFF", "TENSORS"]}, "Expect only one trace level 'OFF' is specified"),
        ({"trace_level": ["LOUD"]}, "Unable to parse 'trace_level', got: LOUD"),
        ({"trace_colour": "red"}, "unknown trace setting 'trace_colour'"),
    ],
)
def test_mistakes_change_nothing(server: ServerProcess, wire: str, changes: dict[str, Any], message: str) -> None:
    ask = settings(server, wire)
    before = ask("one")
    with pytest.raises(InferenceServerException) as raised:
        ask("one", **{"log_frequency": "3", **changes})
    assert message in raised.value.message()
    assert ask("one") == before
    with pytest.raises(InferenceServerException, match="Request for unknown model : nope"):
        ask("nope")


@pytest.mark.parametrize("changes", [{"trace_level": "TENSORS"}, {"trace_rate": [1]}, {"trace_level": []}])
def test_values_of_the_wrong_kind_over_rest(server: ServerProcess, changes: dict[str, Any]) -> None:
    answer = httpx.post(server.url("/v2/trace/setting"), json=changes)
    assert answer.status_code == 400
    assert next(iter(changes)) in answer.json()["error"]


def traces(path: Path) -> dict[int, dict[str, Any]]:
    """What a file tells, by the traces' ids."""
    found: dict[int, dict[str, Any]] = {}
    for event in json.loads(path.read_text()):
        trace = found.setdefault(event["id"], {"timestamps": {}, "tensors": []})
        for stamp in event.get("timestamps", ()):
            assert stamp["name"] not in trace["timestamps"]
            trace["timestamps"][stamp["name"]] = stamp["ns"]
        if "tensor" in event:
            trace["tensors"].append((event["activity"], event["tensor"]))
        trace |= {key: value for key, value in event.items() if key in ("model_name", "model_version", "request_id")}
    return found


def test_traces_of_both_wires(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    with ServerProcess(folder, "--trace-file", str(path)) as server:
        infer(server, "http", "one")  # off: not traced
        http = settings(server, "http")
        http(trace_level=["TIMESTAMPS", "TENSORS"], trace_rate="1", trace_count="4")
        infer(server, "http", "one", request_id="my id")
        http(trace_rate="1")  # traces that come behind a change are others than those before it
        infer(server, "grpc", "two")
        with pytest.raises(InferenceServerException):
            infer(server, "http", "nope")
        bad = httpx.post(server.url("/v2/models/one/infer"), json={"inputs": []})
        assert bad.status_code == 400
        assert http()["trace_count"] == "0"
        infer(server, "http", "one")  # the four there were to be are made
        assert server.stop() == 0
    found = traces(path)
    by_model = [(trace["model_name"], trace.get("request_id")) for trace in found.values()]
    assert by_model == [("one", "my id"), ("two", None), ("one", None)]
    for trace, wire in zip(found.values(), ("HTTP_RECV", "GRPC_WAITREAD"), strict=False):
        assert f"{wire}_START" in trace["timestamps"]
        instants = [trace["timestamps"][stage] for stage in STAGES]
        assert instants == sorted(instants)
        tensor = {"name": "x", "data": "0.5,2.0", "shape": "1,2", "dtype": "FP32"}
        assert trace["tensors"] == [("TENSOR_QUEUE_INPUT", tensor), ("TENSOR_BACKEND_OUTPUT", {**tensor, "name": "y"})]
        assert trace["model_version"] == -1
    failed = list(found.values())[2]
    assert {"REQUEST_START", "REQUEST_END"} <= set(failed["timestamps"])
    assert "COMPUTE_START" not in failed["timestamps"]


def test_sampling_and_numbered_files(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    start = ["--trace-file", str(path), "--trace-level", "TIMESTAMPS", "--trace-rate", "2"]
    with ServerProcess(folder, *start, "--trace-log-frequency", "2") as server:
        infer(server, "http", "one", 5)
        infer(server, "grpc", "one", 5)
        settings(server, "grpc")("two", trace_level="TENSORS", trace_rate="1", log_frequency="0")
        infer(server, "grpc", "two", 1)
        assert server.stop() == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["trace.json"] + [f"trace.json.{n}" for n in range(3)]
    assert [len(traces(tmp_path / f"trace.json.{n}")) for n in range(3)] == [2, 2, 1]
    (of_two,) = traces(path).values()
    assert of_two["model_name"] == "two"
    assert of_two["timestamps"] == {}
    assert len(of_two["tensors"]) == 2


def test_a_file_that_cannot_be_written_is_an_error_at_the_start(folder: Path, tmp_path: Path) -> None:
    server = ServerProcess(folder, "--trace-file", str(tmp_path / "nowhere" / "trace.json"))
    server.spawn()
    assert server.wait() == 1
    assert "there is no folder" in server.output
