"""ModelStreamInfer through Triton's clients: models that answer once and in pieces, marks, errors, in both layouts."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

from tests.conformance.wires import MODULES
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

Answers = queue.SimpleQueue[tuple[Any, Any]]


def number(name: str, value: int) -> triton.InferInput:
    made = triton.InferInput(name, [1], "INT32")
    made.set_data_from_numpy(np.array([value], np.int32))
    return made


@pytest.fixture
def stream(layout_server: ServerProcess) -> Iterator[tuple[triton.InferenceServerClient, Answers]]:
    """A client with an open stream, and the answers and errors that come on it."""
    answers: Answers = queue.SimpleQueue()
    with triton.InferenceServerClient(layout_server.grpc) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        yield client, answers
        client.stop_stream()


def final(result: Any) -> bool:
    return bool(result.get_response().parameters["triton_final_response"].bool_param)


def test_answers_of_models_that_answer_once_are_final_and_in_order(stream: Any) -> None:
    client, answers = stream
    for index in range(20):
        client.async_stream_infer("told", [number("x", index)], request_id=str(index), parameters={"n": index})
    results = [answers.get(timeout=20)[0] for _ in range(20)]
    assert [result.get_response().id for result in results] == [str(index) for index in range(20)]
    assert all(final(result) for result in results)
    assert [result.as_numpy("told")[0] for result in results] == [b'{"n": %d}' % index for index in range(20)]


def test_pieces_come_each_on_its_own_and_the_end_is_told_to_those_who_ask(stream: Any) -> None:
    client, answers = stream
    client.async_stream_infer("count", [number("n", 3)], request_id="c", enable_empty_final_response=True)
    results = [answers.get(timeout=20)[0] for _ in range(4)]
    assert [result.as_numpy("i").tolist() for result in results[:3]] == [[0], [1], [2]]
    assert [final(result) for result in results] == [False, False, False, True]
    assert results[3].as_numpy("i") is None
    assert {result.get_response().id for result in results} == {"c"}
    assert {result.get_response().model_name for result in results} == {"count"}


def test_no_pieces_at_all_are_an_end_for_those_who_ask(stream: Any) -> None:
    client, answers = stream
    client.async_stream_infer("count", [number("n", 0)], request_id="0")  # nothing comes for this one
    client.async_stream_infer("count", [number("n", 0)], request_id="1", enable_empty_final_response=True)
    result, _ = answers.get(timeout=20)
    assert (result.get_response().id, final(result)) == ("1", True)


def test_an_error_is_told_with_the_id_and_the_stream_goes_on(stream: Any) -> None:
    client, answers = stream
    client.async_stream_infer("count", [number("n", -1)], request_id="bad")
    result, error = answers.get(timeout=20)
    assert result is None
    assert "below zero" in str(error)
    client.async_stream_infer("nope", [number("n", 1)], request_id="worse")
    assert "Request for unknown model: 'nope' is not found" in str(answers.get(timeout=20)[1])
    client.async_stream_infer("count", [number("n", 1)], request_id="good")
    assert answers.get(timeout=20)[0].get_response().id == "good"


def test_the_asynchronous_client(layout_server: ServerProcess) -> None:
    async def requests() -> Any:
        for request in ("a", "b"):
            yield {"model_name": "count", "inputs": [number("n", 2)], "request_id": request}

    async def scenario() -> list[tuple[str, int]]:
        async with triton_aio.InferenceServerClient(layout_server.grpc) as client:
            return [
                (result.get_response().id, int(result.as_numpy("i")[0]))
                async for result, error in client.stream_infer(requests())
                if error is None
            ]

    assert sorted(asyncio.run(scenario())) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


@pytest.mark.parametrize("wire", ["http", "grpc"])
def test_one_answer_cannot_be_had_of_a_model_that_answers_in_pieces(layout_server: ServerProcess, wire: str) -> None:
    module = MODULES[wire]
    item = module.InferInput("n", [1], "INT32")
    item.set_data_from_numpy(np.array([1], np.int32))
    client = module.InferenceServerClient(getattr(layout_server, wire))
    with client, pytest.raises(InferenceServerException) as caught:
        client.infer("count", [item])
    assert caught.value.status() in ("501", "StatusCode.UNIMPLEMENTED")
