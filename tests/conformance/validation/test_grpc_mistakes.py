"""Every mistake of Triton's table over gRPC: INVALID_ARGUMENT and a reason in Triton's sense, in both layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from oipserver.pb import inference_pb2 as pb
from oipserver.protocol.names import EXPECTED_NAME
from oipserver.wire.grpc import SERVICE
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

ROW = bytes(64)
Ask = Callable[..., Any]


@pytest.fixture
def ask(layout_server: ServerProcess) -> Iterator[Ask]:
    """Sends a message (or bytes) to a method; returns its answer, or raises what the server ended the call with."""
    with grpc.insecure_channel(layout_server.grpc) as channel:

        def call(message: Any, method: str = "ModelInfer") -> Any:
            data = message if isinstance(message, bytes) else message.SerializeToString()
            answer = getattr(pb, f"{method}Response")
            return channel.unary_unary(f"/{SERVICE}/{method}", None, answer.FromString)(data, timeout=30)

        yield call


def request(
    raws: tuple[bytes, ...] = (ROW, ROW),
    inputs: tuple[tuple[str, str, tuple[int, ...]], ...] = (("INPUT0", "INT32", (1, 16)), ("INPUT1", "INT32", (1, 16))),
    **fields: Any,
) -> pb.ModelInferRequest:
    made = pb.ModelInferRequest(**{"model_name": "add", **fields}, raw_input_contents=raws)
    for name, datatype, shape in inputs:
        made.inputs.add(name=name, datatype=datatype, shape=shape)
    return made


def changed(change: Callable[[Any], Any], **fields: Any) -> pb.ModelInferRequest:
    made = request(**fields)
    change(made)
    return made


def one(name: str, datatype: str = "INT32", shape: tuple[int, ...] = (1, 16)) -> dict[str, Any]:
    """A pair whose second input is another one."""
    return {"inputs": (("INPUT0", "INT32", (1, 16)), (name, datatype, shape))}


def typed(**contents: list[Any]) -> Callable[[Any], Any]:
    return lambda made: made.inputs[0].contents.CopyFrom(pb.InferTensorContents(**contents))


MISTAKES: dict[str, tuple[Any, str]] = {
    "no message": (b"\xff\xff", "the message is not a ModelInferRequest"),
    "too little raw data": (
        request(raws=(ROW, ROW[:60])),
        "input byte size mismatch for input 'INPUT1' for model 'add'. Expected 64, got 60",
    ),
    "too few raw data": (
        request(raws=(ROW,)),
        "unable to find data for input tensor 'INPUT1' for model 'add' in request.",
    ),
    "no data": (request(raws=()), "unable to find data for input tensor 'INPUT0' for model 'add' in request."),
    "both kinds of data": (
        changed(typed(int_contents=[1] * 16)),
        "contents field must not be specified when using raw_input_contents for 'INPUT0' for model 'add'",
    ),
    "contents in the wrong field": (
        changed(typed(fp32_contents=[1] * 16), raws=()),
        "unexpected explicit tensor data for input tensor 'INPUT0' for model 'add' of type 'FP32', expected datatype "
        "'INT32'",
    ),
    "too few contents": (changed(typed(int_contents=[1]), raws=()), "Expected 16, got 1"),
    "FP16 in contents": (
        changed(typed(fp32_contents=[1]), raws=(), inputs=(("INPUT0", "FP16", (1,)),)),
        "can only be sent raw",
    ),
    "unknown datatype": (request(**one("INPUT1", "INT7")), "invalid datatype for input INPUT1"),
    "wrong datatype": (
        request(**one("INPUT1", "FP32")),
        "inference input 'INPUT1' data-type is 'FP32', but model 'add' expects 'INT32'",
    ),
    "wrong shape": (
        request(**one("INPUT1", shape=(2, 8))),
        "unexpected shape for input 'INPUT1' for model 'add'. Expected [-1,16], got [2,8]",
    ),
    "negative dimension": (request(**one("INPUT1", shape=(-1, 16))), "every dimension must be 0 or more"),
    "overflowing shape": (request(**one("INPUT1", shape=(2**62, 2**62))), "more elements than can be addressed"),
    "too many dimensions": (request(**one("INPUT1", shape=(1,) * 100)), "100 dimensions"),
    "unknown input": (request(**one("NOPE")), "unexpected inference input 'NOPE' for model 'add'"),
    "input twice": (request(**one("INPUT0")), "input 'INPUT0' already exists in request"),
    "missing input": (
        request(raws=(ROW,), inputs=(("INPUT0", "INT32", (1, 16)),)),
        "expected 2 inputs but got 1 inputs for model 'add'. Got input(s) ['INPUT0'], but missing required input(s) "
        "['INPUT1']. Please provide all required input(s).",
    ),
    "unknown output": (
        changed(lambda made: made.outputs.add(name="NOPE")),
        "unexpected inference output 'NOPE' for model 'add'",
    ),
    "output twice": (
        changed(lambda made: [made.outputs.add(name="OUTPUT0") for _ in range(2)]),
        "output 'OUTPUT0' already exists in request",
    ),
    "reserved parameter": (
        changed(lambda made: setattr(made.parameters["triton_mine"], "bool_param", True)),
        "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting with "
        "'triton_' are allowed: triton_enable_empty_final_response",
    ),
    "parameter without value": (changed(lambda made: made.parameters["mine"].SetInParent()), "'mine' has no value"),
    "priority no number": (
        changed(lambda made: setattr(made.parameters["priority"], "string_param", "high")),
        "Unable to parse 'priority'",
    ),
    "text for a version": (
        request(model_version="wrong_specification"),
        "failed to get model version from specified version string 'wrong_specification' (details: stol), version "
        "should be an integral value > 0",
    ),
    "negative version": (
        request(model_version="-1"),
        "invalid model version specified '-1' , version should be an integral value > 0",
    ),
}


@pytest.mark.parametrize(("message", "phrase"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_the_callers(ask: Ask, message: Any, phrase: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ask(message)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, caught.value.details()
    assert phrase in caught.value.details()


@pytest.mark.parametrize(
    ("fields", "details"),
    [
        ({"model_name": "nope"}, "Request for unknown model: 'nope' is not found"),
        ({"model_version": "9"}, "Request for unknown model: 'add' version 9 is not found"),
        ({"model_name": ""}, f"Request for unknown model: '' is not found: {EXPECTED_NAME}"),
        ({"model_name": "a\0b"}, f"Request for unknown model: 'a\0b' is not found: {EXPECTED_NAME}"),
    ],
)
def test_what_is_not_there_is_not_found(ask: Ask, fields: dict[str, str], details: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ask(request(**fields))
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, details)


def test_only_a_version_that_cannot_be_is_a_mistake_of_model_ready(ask: Ask) -> None:
    for name, version in (("nope", ""), ("add", "9"), ("nope", "text")):
        assert ask(pb.ModelReadyRequest(name=name, version=version), "ModelReady").ready is False
    for method in ("ModelReady", "ModelMetadata", "ModelConfig"):
        with pytest.raises(grpc.RpcError) as caught:
            ask(getattr(pb, f"{method}Request")(name="add", version="text"), method)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_raw_data_beyond_the_last_input_are_ignored(ask: Ask) -> None:
    assert len(ask(request(raws=(ROW, ROW, b"more"))).outputs) == 2
