"""ModelInfer, asked by real clients: data, metadata, mistakes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.utils import InferenceServerException

from oipserver.pb import inference_pb2 as pb
from oipserver.tensor import DATATYPES
from oipserver.wire.grpc import SERVICE

from .clients import PAIR, infer_message, tensor
from .serving import Served, serving


def test_triton_client_infers(client: triton.InferenceServerClient) -> None:
    result = client.infer("add", PAIR, request_id="seven")
    assert result.as_numpy("sum").tolist() == [[5.0] * 16]
    assert result.get_response().id == "seven"
    assert result.get_response().model_name == "add"


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests(client: triton.InferenceServerClient, algorithm: str) -> None:
    result = client.infer("add", PAIR, compression_algorithm=algorithm)
    assert result.as_numpy("sum").tolist() == [[5.0] * 16]


def test_aio_clients_infer(served: Served) -> None:
    async def scenario() -> None:
        async with triton_aio.InferenceServerClient(served.address) as client:
            assert (await client.infer("add", PAIR)).as_numpy("sum").tolist() == [[5.0] * 16]
        async with grpc.aio.insecure_channel(served.address) as channel:
            method = channel.unary_unary(
                f"/{SERVICE}/ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
            )
            answer = await method(infer_message("echo"))
            assert answer.raw_output_contents[0] == b"\1\0\0\0x"

    asyncio.run(scenario())


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(set(DATATYPES) - {"BF16"})), st.lists(st.integers(0, 3), min_size=1, max_size=3))
def test_every_datatype_comes_back(served: Served, name: str, shape: list[int]) -> None:
    count = int(np.prod(shape))
    array = np.arange(count).reshape(shape)
    array = array.astype(str).astype(object) if name == "BYTES" else array.astype(DATATYPES[name].dtype)
    with triton.InferenceServerClient(served.address) as client:
        back = client.infer("echo", [tensor("x", array, name)]).as_numpy("x")
    if name == "BYTES":
        assert [value.decode() for value in back.ravel()] == array.ravel().tolist()
    else:
        assert back.dtype == array.dtype
        assert back.tobytes() == array.tobytes()
    assert list(back.shape) == shape


def test_large_messages_pass(client: triton.InferenceServerClient) -> None:
    array = np.arange(5_000_001, dtype=np.float32)
    assert np.array_equal(client.infer("echo", [tensor("x", array)]).as_numpy("x"), array)


def test_message_length_can_be_limited() -> None:
    with (
        serving({"echo": "Echo"}, grpc_max_message_length=1000) as served,
        triton.InferenceServerClient(served.address) as client,
    ):
        client.infer("echo", [tensor("x", np.zeros(100, np.float32))])
        with pytest.raises(InferenceServerException, match="RESOURCE_EXHAUSTED"):
            client.infer("echo", [tensor("x", np.zeros(1000, np.float32))])


def test_metadata_and_headers_travel(call: Callable[..., Any], served: Served) -> None:
    with served.channel() as channel:
        method = channel.unary_unary(
            f"/{SERVICE}/ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
        )
        metadata = (("x-color", "red"), ("x-data-bin", b"\0\1"))
        answer, ended = method.with_call(infer_message("headers"), metadata=metadata)
    assert answer.raw_output_contents[0] == b"\3\0\0\0red"
    trailing = {key: value for key, value in ended.trailing_metadata() if key.startswith("x-")}
    assert trailing == {"x-shade": "dark"}


def test_parameters_travel(call: Callable[..., Any]) -> None:
    message = infer_message("echo")
    message.parameters["n"].int64_param = 4
    assert call("ModelInfer", message).outputs[0].parameters["n"].int64_param == 4


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        (infer_message("nope"), "NOT_FOUND", "Request for unknown model: 'nope' is not found"),
        (infer_message("echo", model_version="9"), "NOT_FOUND", "version 9 is not found"),
        (infer_message(".."), "NOT_FOUND", "is not found"),
        (pb.ModelInferRequest(model_name="echo", raw_input_contents=[b""]), "OK", ""),
        (infer_message("echo", raw_input_contents=[b"x"]), "INVALID_ARGUMENT", "contents field must not be specified"),
        (infer_message("broken"), "INTERNAL", "model 'broken' failed: ZeroDivisionError: inside the model"),
        (infer_message("busy"), "UNAVAILABLE", "busy"),
        (infer_message("pieces"), "UNIMPLEMENTED", "model 'pieces'"),
        (infer_message("n" * 20_000), "NOT_FOUND", "Request for unknown model: 'nnn"),
    ],
)
def test_status_codes(call: Callable[..., Any], message: pb.ModelInferRequest, code: str, text: str) -> None:
    if code == "OK":
        call("ModelInfer", message)
        return
    with pytest.raises(grpc.RpcError) as caught:
        call("ModelInfer", message)
    assert caught.value.code().name == code
    assert text in caught.value.details()


def test_when_to_try_again_is_said(call: Callable[..., Any]) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call("ModelInfer", infer_message("busy"))
    trailing = dict(caught.value.trailing_metadata())
    assert trailing["retry-after"] == "2"
    assert trailing["grpc-retry-pushback-ms"] == "1500"


def test_unexpected_failures_are_not_shown(
    served: Served, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(served.server._data, "server_metadata", fail)
    with caplog.at_level(logging.ERROR), pytest.raises(grpc.RpcError) as caught:
        call("ServerMetadata", pb.ServerMetadataRequest())
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.details() == "internal server error"
    assert "secret" in caplog.text


def test_a_message_that_is_none_is_the_clients_mistake(served: Served) -> None:
    with served.channel() as channel:
        for name in ("ModelInfer", "ModelReady", "ModelMetadata", "RepositoryIndex", "RepositoryModelLoad"):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(f"/{SERVICE}/{name}")(b"\xff\xff")
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
