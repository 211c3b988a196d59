"""ModelStreamInfer, asked by real clients."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterator, Mapping
from typing import Any, cast

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio

from oipserver.pb import inference_pb2 as pb
from oipserver.wire.grpc import SERVICE
from oipserver.wire.grpc.dialects import DIALECTS
from oipserver.wire.grpc.handlers import Call
from oipserver.wire.grpc.stream import MAX_UNSENT, StreamSession

from .served_models import GATES
from .serving import Served, serving

MODELS = {"echo": "Echo", "broken": "Broken", "slow": "Gated", "pieces": "Pieces"}


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(MODELS) as running:
        yield running


def message(model: str, request: str = "", value: bytes = b"x", **parameters: bool) -> pb.ModelInferRequest:
    made = pb.ModelInferRequest(model_name=model, id=request)
    contents = pb.InferTensorContents(bytes_contents=[value])
    made.inputs.add(name="x", datatype="BYTES", shape=[1], contents=contents)
    for name, flag in parameters.items():
        made.parameters[name].bool_param = flag
    return made


def pieces(count: int, request: str = "", **parameters: bool) -> pb.ModelInferRequest:
    made = message("pieces", request, **parameters)
    made.inputs[0].datatype = "INT32"
    made.inputs[0].contents.CopyFrom(pb.InferTensorContents(int_contents=[count]))
    return made


class Stream:
    """An open stream: ``send``, iterate, ``half_close``."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._requests: queue.SimpleQueue[pb.ModelInferRequest | None] = queue.SimpleQueue()
        method = channel.stream_stream(
            f"/{SERVICE}/ModelStreamInfer",
            pb.ModelInferRequest.SerializeToString,
            pb.ModelStreamInferResponse.FromString,
        )
        self.call = method(iter(self._requests.get, None), timeout=30)

    def send(self, *requests: pb.ModelInferRequest) -> None:
        for request in requests:
            self._requests.put(request)

    def half_close(self) -> None:
        self._requests.put(None)

    def __iter__(self) -> Iterator[pb.ModelStreamInferResponse]:
        return iter(self.call)


@pytest.fixture
def stream(served: Served) -> Iterator[Stream]:
    with served.channel() as channel:
        opened = Stream(channel)
        yield opened
        opened.half_close()
        opened.call.cancel()


def final(answer: pb.ModelStreamInferResponse) -> bool:
    value = answer.infer_response.parameters["triton_final_response"]
    assert value.WhichOneof("parameter_choice") == "bool_param"
    return value.bool_param


def test_answers_keep_the_order_of_requests_and_errors_stay_in_the_stream(stream: Stream) -> None:
    stream.send(message("slow", "1"), message("echo", "2"), message("nope", "3"), message("broken", "4"))
    broken = message("echo", "5")
    broken.raw_input_contents.append(b"")
    stream.send(broken, message("echo", "6"))
    stream.half_close()
    GATES["slow"].wait_for(1)
    GATES["slow"].open()
    answers = list(stream)
    assert [answer.infer_response.id for answer in answers] == list("123456")
    assert all(final(answer) for answer in answers)
    errors = [answer.error_message for answer in answers]
    assert errors[0] == errors[1] == errors[5] == ""
    assert errors[2] == "Request for unknown model: 'nope' is not found"
    assert errors[3] == "model 'broken' failed: ZeroDivisionError: inside the model"
    assert errors[4].startswith("contents field must not be specified")
    assert stream.call.code() is grpc.StatusCode.OK


def test_requests_are_in_flight_together(stream: Stream) -> None:
    stream.send(*(message("slow", str(number)) for number in range(100)))
    GATES["slow"].wait_for(100)
    GATES["slow"].open()
    stream.half_close()
    assert [answer.infer_response.id for answer in stream] == [str(number) for number in range(100)]


def test_pieces_come_when_they_are_there_and_hold_up_nobody(stream: Stream) -> None:
    stream.send(pieces(3, "p"))
    answers = iter(stream)
    first = [next(answers) for _ in range(2)]  # the third is still behind the gate
    assert [answer.infer_response.raw_output_contents[0][4:] for answer in first] == [b"0", b"1"]
    assert not any(final(answer) for answer in first)
    stream.send(message("echo", "e"))
    assert next(answers).infer_response.id == "e"
    GATES["pieces"].open()
    last = next(answers)
    assert (last.infer_response.id, last.infer_response.raw_output_contents[0][4:]) == ("p", b"2")
    stream.half_close()
    assert list(answers) == []


def test_the_end_is_marked_for_those_who_ask(stream: Stream) -> None:
    stream.send(pieces(1, "p", triton_enable_empty_final_response=True))
    GATES["pieces"].wait_for(1)
    GATES["pieces"].open()
    stream.half_close()
    piece, end = stream
    assert not final(piece)
    assert final(end)
    assert (end.infer_response.id, end.infer_response.model_name, len(end.infer_response.outputs)) == ("p", "pieces", 0)


def test_the_mark_is_no_parameter_of_the_model(stream: Stream) -> None:
    stream.send(message("echo", triton_enable_empty_final_response=True))
    stream.half_close()
    [answer] = stream
    assert final(answer)
    assert "triton_enable_empty_final_response" not in answer.infer_response.outputs[0].parameters


def test_a_stream_without_requests_ends_well(stream: Stream) -> None:
    stream.half_close()
    assert list(stream) == []
    assert stream.call.code() is grpc.StatusCode.OK


def test_a_message_that_is_none_is_answered_and_the_stream_goes_on(served: Served) -> None:
    with served.channel() as channel:
        call = channel.stream_stream(f"/{SERVICE}/ModelStreamInfer", None, pb.ModelStreamInferResponse.FromString)(
            iter([b"\xff\xff", message("echo", "2").SerializeToString()]), timeout=30
        )
        bad, good = call
    assert bad.error_message == "the message is not a ModelInferRequest"
    assert good.infer_response.id == "2"


@pytest.mark.parametrize("model", ["slow", "pieces"])
def test_a_cancelled_stream_reaches_the_model(served: Served, stream: Stream, model: str) -> None:
    stream.send(pieces(1) if model == "pieces" else message(model))
    GATES[model].wait_for(1)
    stream.call.cancel()
    assert GATES[model].cancelled.wait(10)


class NobodyElse:
    """A call without metadata and without a deadline."""

    headers: Mapping[str, str] = {}
    deadline = None


def test_answers_that_nobody_reads_stop_the_model(served: Served) -> None:
    session = StreamSession(served.server._data, cast(Call, NobodyElse()), served.loop, DIALECTS["triton"])
    session.submit(pieces(500).SerializeToString())
    session.half_close()
    gate = GATES["pieces"]
    answers = iter(session)
    for read in range(1, 500):
        next(answers)
        assert gate.made <= read + MAX_UNSENT + 1
    gate.wait_for(1)
    gate.open()
    assert final(pb.ModelStreamInferResponse.FromString(next(answers))) is False
    assert list(answers) == []


def test_stopping_ends_idle_streams_and_lets_requests_finish(served: Served) -> None:
    with served.channel() as first, served.channel() as second:
        idle, busy = Stream(first), Stream(second)
        for opened in (idle, busy):
            opened.send(message("echo"))
            next(iter(opened))
        busy.send(message("slow", "last"))
        GATES["slow"].wait_for(1)
        stopping = asyncio.run_coroutine_threadsafe(served.server.stop(20), served.loop)
        with pytest.raises(grpc.RpcError) as caught:
            next(iter(idle))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert not stopping.done()
        GATES["slow"].open()
        assert next(iter(busy)).infer_response.id == "last"
        stopping.result(10)


def test_triton_clients_stream(served: Served) -> None:
    asked = triton.InferInput("x", [2], "FP32")
    asked.set_data_from_numpy(np.array([1, 2], np.float32))
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with triton.InferenceServerClient(served.address) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        for number in range(3):
            client.async_stream_infer("echo", [asked], request_id=str(number))
        client.async_stream_infer("nope", [asked])
        results = [answers.get(timeout=10) for _ in range(4)]
        client.stop_stream()
    assert [result.get_response().id for result, error in results if error is None] == ["0", "1", "2"]
    assert results[0][0].as_numpy("x").tolist() == [1.0, 2.0]
    assert "Request for unknown model" in str(results[3][1])

    async def requests() -> Any:
        for number in range(3):
            yield {"model_name": "echo", "inputs": [asked], "request_id": str(number)}

    async def scenario() -> list[str]:
        async with triton_aio.InferenceServerClient(served.address) as client:
            return [result.get_response().id async for result, error in client.stream_infer(requests()) if not error]

    assert asyncio.run(scenario()) == ["0", "1", "2"]


def test_the_dialect_of_mlserver() -> None:
    """Bare responses without a mark; an error is the status that ends the stream, after what was answered before."""
    with serving(MODELS, grpc_stream_dialect="mlserver") as running, running.channel() as channel:
        method = channel.stream_stream(
            f"/{SERVICE}/ModelStreamInfer",
            pb.ModelInferRequest.SerializeToString,
            pb.ModelInferResponse.FromString,
        )
        stream = method(iter([message("echo", "1"), pieces(2, "2")]), timeout=30)
        GATES["pieces"].wait_for(1)
        GATES["pieces"].open()
        answers = sorted(stream, key=lambda answer: answer.id)  # pieces do not wait for requests before them
        assert [(answer.model_name, answer.id) for answer in answers] == [
            ("echo", "1"),
            ("pieces", "2"),
            ("pieces", "2"),
        ]
        assert not any(answer.parameters for answer in answers)
        got = []
        with pytest.raises(grpc.RpcError) as caught:
            got.extend(method(iter([message("echo", "1"), message("nope", "2")]), timeout=30))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert caught.value.details() == "Request for unknown model: 'nope' is not found"
