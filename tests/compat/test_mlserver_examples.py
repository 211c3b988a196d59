"""Folders of code written for MLServer, not a line of it changed: served in workers, asked over both wires."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

import oipserver.compat
from oipserver.codecs import NumpyCodec, StringCodec
from oipserver.types import InferenceRequest, InferenceResponse, Parameters, RequestInput
from tests.support.server_process import ServerProcess

assert oipserver.compat.install()  # the clients of MLServer's documentation import mlserver too

from mlserver.grpc import dataplane_pb2, dataplane_pb2_grpc  # type: ignore[import-not-found]  # noqa: E402
from mlserver.grpc.converters import (  # type: ignore[import-not-found]  # noqa: E402
    ModelInferRequestConverter,
    ModelInferResponseConverter,
)

pytestmark = pytest.mark.process

EXAMPLES = Path(__file__).parent / "examples"


@pytest.fixture(scope="module", params=["1", "0"], ids=["worker", "in-process"])
def examples(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """All examples but the custom repository, by one server."""
    with ServerProcess(EXAMPLES, "--parallel-workers", request.param) as server:
        yield server


@pytest.fixture
def stub(examples: ServerProcess) -> Iterator[Any]:
    with grpc.insecure_channel(examples.grpc) as channel:
        yield dataplane_pb2_grpc.GRPCInferenceServiceStub(channel)


def infer_grpc(
    stub: Any, model: str, request: InferenceRequest, version: str = "", use_raw: bool = False
) -> InferenceResponse:
    """Ask as MLServer's documentation does."""
    message = ModelInferRequestConverter.from_types(request, model_name=model, model_version=version, use_raw=use_raw)
    answer: InferenceResponse = ModelInferResponseConverter.to_types(stub.ModelInfer(message))
    return answer


def texts(name: str, *values: str) -> RequestInput:
    return StringCodec.encode_input(name, list(values), use_bytes=False)


# -- getting started: load() returns nothing -------------------------------------------------------------------------


def test_getting_started(examples: ServerProcess, stub: Any) -> None:
    request = InferenceRequest(inputs=[texts("docs", "a cat sat", "a dog sat")])
    body = httpx.post(examples.url("/v2/models/similarity/infer"), json=request.dict()).json()
    assert body["outputs"] == [
        {
            "name": "output-0",
            "shape": [1, 1],
            "datatype": "FP64",
            "parameters": {"content_type": "np"},
            "data": [0.5],
        }
    ]
    told = infer_grpc(stub, "similarity", request)
    assert NumpyCodec.decode_output(told.outputs[0]).tolist() == [[0.5]]


# -- content types ---------------------------------------------------------------------------------------------------

CONTENT_TYPES = {
    "inputs": [
        {
            "name": "parameters-np",
            "datatype": "INT32",
            "shape": [2, 2],
            "data": [1, 2, 3, 4],
            "parameters": {"content_type": "np"},
        },
        {
            "name": "parameters-str",
            "datatype": "BYTES",
            "shape": [1],
            "data": "hello world",
            "parameters": {"content_type": "str"},
        },
        {"name": "metadata-np", "datatype": "INT32", "shape": [2, 2], "data": [1, 2, 3, 4]},
        {"name": "metadata-str", "datatype": "BYTES", "shape": [11], "data": "hello world"},
        {
            "name": "own",
            "datatype": "BYTES",
            "shape": [1],
            "data": ["1,2\n3,4"],
            "parameters": {"content_type": "csv"},
        },
        {"name": "none", "datatype": "INT32", "shape": [2], "data": [5, 6]},
    ]
}


def test_content_types(examples: ServerProcess) -> None:
    answer = examples.infer("echo", CONTENT_TYPES)
    assert answer.status_code == 200, answer.text
    names, *outputs = answer.json()["outputs"]
    assert names["data"] == ["parameters-np,parameters-str,metadata-np,metadata-str,own,none"]
    assert {output["name"]: output["parameters"]["decoded"] for output in outputs} == {
        "parameters-np": "ndarray",
        "parameters-str": "list",
        "metadata-np": "ndarray",
        "metadata-str": "list",
        "own": "list",
        "none": "TensorData",
    }
    values = {output["name"]: output["parameters"]["value"] for output in outputs}
    assert values["metadata-str"] == "['hello world']"
    assert values["own"] == "[[1.0, 2.0], [3.0, 4.0]]"
    assert values["metadata-np"] == str(np.array([[1, 2], [3, 4]]))


# -- JSON inside of BYTES --------------------------------------------------------------------------------------------

DOCUMENT = {"name": "Foo Bar", "message": "Hello from Client (REST)!", "ö": [1, None]}


def test_custom_json(examples: ServerProcess, stub: Any) -> None:
    text = json.dumps(DOCUMENT)
    tensor = {"name": "json_request", "datatype": "BYTES", "shape": [len(text)], "data": [text]}
    answer = examples.infer("json-hello-world", {"inputs": [tensor]})
    assert answer.status_code == 200, answer.text
    (output,) = answer.json()["outputs"]
    assert json.loads("".join(output["data"]))["request"] == {"json_request": DOCUMENT}

    request = InferenceRequest(
        inputs=[
            RequestInput(
                name="json_request",
                shape=[1],
                datatype="BYTES",
                data=[text.encode()],
                parameters=Parameters(content_type="str"),
            )
        ]
    )
    for use_raw in (False, True):
        told = infer_grpc(stub, "json-hello-world", request, use_raw=use_raw)
        echoed = json.loads(StringCodec.decode_output(told.outputs[0])[0])
        assert echoed == {"request": {"json_request": DOCUMENT}, "server_response": "Hello from the server."}


def test_what_models_log_leaves_with_their_name(examples: ServerProcess) -> None:
    examples.wait_for_output(r"INFO mlserver \[json-hello-world\]: greetings are loaded", seconds=10)


# -- streaming -------------------------------------------------------------------------------------------------------

PROMPT = "What is the capital of France?"


def prompt(text: str) -> InferenceRequest:
    return InferenceRequest(inputs=[texts("prompt", text)])


@pytest.mark.parametrize("route", ["infer_stream", "generate_stream"])
def test_streaming_over_rest(route: str, examples: ServerProcess) -> None:
    words: list[str] = []
    headers = {"accept-encoding": "gzip"}
    url = examples.url(f"/v2/models/text-model/{route}")
    with httpx.stream("POST", url, json=prompt(PROMPT).dict(), headers=headers, timeout=30) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line:
                event = InferenceResponse.parse_raw(line.removeprefix("data: "))
                words += StringCodec.decode_output(event.outputs[0])
    assert len(words) == len(PROMPT.split())
    assert "".join(words) == PROMPT


def test_streaming_over_grpc(stub: Any) -> None:
    requests = [ModelInferRequestConverter.from_types(prompt(PROMPT), model_name="text-model", model_version="")]
    answers = [ModelInferResponseConverter.to_types(message) for message in stub.ModelStreamInfer(iter(requests))]
    assert "".join(StringCodec.decode_output(answer.outputs[0])[0] for answer in answers) == PROMPT


def test_streaming_in_mlservers_dialect(serve: Callable[..., ServerProcess]) -> None:
    server = serve(EXAMPLES / "streaming", "--grpc-stream-dialect", "mlserver")
    request = ModelInferRequestConverter.from_types(prompt(PROMPT), model_name="text-model", model_version="")
    with grpc.insecure_channel(server.grpc) as channel:
        messages = list(dataplane_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(iter([request])))
    assert {type(message) for message in messages} == {dataplane_pb2.ModelInferResponse}
    answers = [ModelInferResponseConverter.to_types(message) for message in messages]
    assert "".join(StringCodec.decode_output(answer.outputs[0])[0] for answer in answers) == PROMPT


def test_a_stream_that_fails_says_so(examples: ServerProcess, stub: Any) -> None:
    url = examples.url("/v2/models/text-model/infer_stream")
    events = httpx.post(url, json=prompt("one stop two").dict(), timeout=30).text
    assert events.count("data: ") == 2
    assert "event: error" in events
    assert "enough said" in events
    request = ModelInferRequestConverter.from_types(prompt("stop"), model_name="text-model", model_version="")
    (message,) = stub.ModelStreamInfer(iter([request]))
    with pytest.raises(oipserver.OIPError, match="enough said"):
        ModelInferResponseConverter.to_types(message)


# -- two versions of one model ---------------------------------------------------------------------------------------

NUMBERS = InferenceRequest(inputs=[NumpyCodec.encode_input("x", np.array([[1.5, 2.0]]))])


@pytest.mark.parametrize(("version", "expected"), [("v1", [3.0, 4.0]), ("v2", [15.0, 20.0])])
@pytest.mark.parametrize("use_raw", [False, True])
def test_versions(version: str, expected: list[float], use_raw: bool, examples: ServerProcess, stub: Any) -> None:
    told = infer_grpc(stub, "scaler", NUMBERS, version, use_raw)
    assert told.model_version == version
    assert NumpyCodec.decode_output(told.outputs[0]).tolist() == [expected]
    answer = httpx.post(examples.url(f"/v2/models/scaler/versions/{version}/infer"), json=NUMBERS.dict())
    assert answer.json()["model_version"] == version
    assert answer.json()["outputs"][0]["data"] == expected


@pytest.mark.parametrize("use_raw", [False, True])
def test_answers_in_the_form_of_the_question(use_raw: bool, serve: Callable[..., ServerProcess]) -> None:
    server = serve(EXAMPLES / "versions", "--grpc-typed-answers")
    with grpc.insecure_channel(server.grpc) as channel:
        stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel)
        asked = ModelInferRequestConverter.from_types(NUMBERS, model_name="scaler", model_version="v1", use_raw=use_raw)
        answer = stub.ModelInfer(asked)
    assert list(answer.outputs[0].contents.fp64_contents) == ([] if use_raw else [3.0, 4.0])
    assert len(answer.raw_output_contents) == use_raw


def test_metadata_show_the_versions_the_settings_tell(examples: ServerProcess) -> None:
    told = httpx.get(examples.url("/v2/models/text-model")).json()
    assert (told["versions"], told["platform"]) == (["text-model/v1.2.3"], "mlserver")
    assert httpx.get(examples.url("/v2/models/scaler")).json()["versions"] == ["v1", "v2"]


def test_there_is_no_third_version(examples: ServerProcess, stub: Any) -> None:
    assert httpx.get(examples.url("/v2/models/scaler/versions/v3/ready")).status_code == 404
    with pytest.raises(grpc.RpcError) as caught:
        infer_grpc(stub, "scaler", NUMBERS, "v3")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


# -- handlers, headers, metrics --------------------------------------------------------------------------------------


def test_custom_handlers(examples: ServerProcess) -> None:
    with httpx.Client(base_url=examples.url(""), timeout=30) as client:
        assert client.post("/sums/plain", json=[1, 2, 3]).json() == 106
        assert client.get("/sums/world/greeting").json() == {"hello": "world"}
        answer = client.post("/sums/raw", json=[4, 5])
        assert answer.status_code == 202
        assert answer.json()["total"] == 9


def test_headers_and_ids_come_back(examples: ServerProcess) -> None:
    body = {"id": "mine", "inputs": [{"name": "x", "shape": [1, 3], "datatype": "INT32", "data": [1, 2, 3]}]}
    url = examples.url("/v2/models/sum-model/versions/v1.2.3/infer")
    answer = httpx.post(url, json=body, headers={"x-foo": "bar"}, timeout=30)
    assert answer.headers["x-foo"] == "bar"
    assert answer.json()["id"] == "mine"
    assert answer.json()["outputs"][0]["data"] == [6]


def test_logged_metrics_are_exported(examples: ServerProcess) -> None:
    url = examples.url("/v2/models/sum-model/infer")
    body = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "INT32", "data": [10, 20, 30]}]}
    assert httpx.post(url, json=body, timeout=30).status_code == 200
    page = httpx.get(f"http://{examples.metrics}/metrics").text
    assert 'sums_total_count{model_name="sum-model",model_version="v1.2.3"}' in page


# -- the repository --------------------------------------------------------------------------------------------------


def states(server: ServerProcess) -> dict[str, str]:
    return {row["name"]: row["state"] for row in httpx.post(server.url("/v2/repository/index"), json={}).json()}


def test_models_are_unloaded_and_loaded(serve: Callable[..., ServerProcess]) -> None:
    server = serve(EXAMPLES / "getting-started")
    assert states(server) == {"similarity": "READY"}
    assert httpx.post(server.url("/v2/repository/models/similarity/unload")).status_code == 200
    assert states(server) == {"similarity": "UNAVAILABLE"}
    assert httpx.get(server.url("/v2/models/similarity/ready")).status_code != 200
    assert httpx.post(server.url("/v2/repository/models/similarity/load"), timeout=60).status_code == 200
    assert states(server) == {"similarity": "READY"}
    with grpc.insecure_channel(server.grpc) as channel:
        stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel)
        index = stub.RepositoryIndex(dataplane_pb2.RepositoryIndexRequest())
        assert [(model.name, model.state) for model in index.models] == [("similarity", "READY")]
        stub.RepositoryModelUnload(dataplane_pb2.RepositoryModelUnloadRequest(model_name="similarity"))
    assert states(server) == {"similarity": "UNAVAILABLE"}


def test_a_repository_of_ones_own(serve: Callable[..., ServerProcess]) -> None:
    server = serve(EXAMPLES / "repository")
    assert states(server) == {"red": "READY", "blue": "READY"}
    answer = server.infer("blue", {"inputs": [texts("things", "sky", "sea").dict()]})
    assert answer.json()["outputs"][0]["data"] == ["blue sky", "blue sea"]
    assert httpx.post(server.url("/v2/repository/models/red/unload")).status_code == 200
    assert httpx.post(server.url("/v2/repository/models/red/load"), timeout=60).status_code == 200
    refused = httpx.post(server.url("/v2/repository/models/green/load"))
    assert refused.status_code == 404
    assert "green" in refused.json()["error"]
