"""Decoupled models: any number of responses to a request, on ModelStreamInfer and as server-sent events."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc_client

from tests.conformance.wires import Wire
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

Responses = "queue.Queue[tuple[Any, Any]]"


class Stream:
    """Triton's streaming client, and what came."""

    def __init__(self, address: str) -> None:
        self.client = grpc_client.InferenceServerClient(address)
        self.came: queue.Queue[tuple[Any, Any]] = queue.Queue()
        self.client.start_stream(lambda result, error: self.came.put((result, error)))

    def ask(self, model: str, values: list[int], **options: Any) -> None:
        item = grpc_client.InferInput("IN", [len(values)], "INT32")
        item.set_data_from_numpy(np.array(values, np.int32))
        self.client.async_stream_infer(model, [item], **options)

    def next(self) -> Any:
        """The next response. Raises what the server told instead of one."""
        result, error = self.came.get(timeout=20)
        if error is not None:
            raise error
        return result.get_response(), result


@pytest.fixture
def stream(python_server: ServerProcess) -> Iterator[Stream]:
    opened = Stream(python_server.grpc)
    yield opened
    opened.client.stop_stream(cancel_requests=True)
    opened.client.close()


def final(response: Any) -> bool:
    return bool(response.parameters["triton_final_response"].bool_param)


def test_responses_from_threads_and_an_empty_end(stream: Stream) -> None:
    stream.ask("square", [4], request_id="four", enable_empty_final_response=True)
    answers = [stream.next() for _ in range(5)]
    assert [response.id for response, _ in answers] == ["four"] * 5
    assert [final(response) for response, _ in answers] == [False] * 4 + [True]
    assert [result.as_numpy("OUT").tolist() for _, result in answers[:4]] == [[4]] * 4
    assert not answers[4][0].outputs
    assert answers[4][0].model_name == "square"


def test_no_responses_at_all(stream: Stream) -> None:
    stream.ask("square", [0], request_id="none", enable_empty_final_response=True)
    response, _ = stream.next()
    assert (response.id, final(response), len(response.outputs)) == ("none", True, 0)
    stream.ask("square", [0])  # nothing comes for this one
    stream.ask("square", [1], request_id="one")
    assert stream.next()[0].id == "one"


def test_the_last_response_says_so(stream: Stream) -> None:
    stream.ask("repeat", [7, 8, 9], enable_empty_final_response=True)
    answers = [stream.next() for _ in range(3)]
    assert [(r.as_numpy("OUT")[0], r.as_numpy("IDX")[0]) for _, r in answers] == [(7, 0), (8, 1), (9, 2)]
    assert [final(response) for response, _ in answers] == [False, False, True]
    stream.ask("repeat", [1], request_id="next")  # no empty end came in between
    assert stream.next()[0].id == "next"


def test_many_requests_side_by_side(stream: Stream) -> None:
    for size in range(1, 21):
        stream.ask("repeat", list(range(size)), request_id=str(size))
    came: dict[str, list[int]] = {}
    for _ in range(sum(range(1, 21))):
        response, result = stream.next()
        came.setdefault(response.id, []).append(int(result.as_numpy("OUT")[0]))
    assert came == {str(size): list(range(size)) for size in range(1, 21)}


def test_more_responses_than_anybody_keeps(stream: Stream) -> None:
    stream.ask("square", [3000])
    assert sum(int(stream.next()[1].as_numpy("OUT")[0]) for _ in range(3000)) == 9_000_000


def test_an_error_is_one_requests(stream: Stream) -> None:
    stream.ask("square", [-1], request_id="bad")
    with pytest.raises(Exception, match="negative numbers have no end"):
        stream.next()
    stream.ask("square", [1], request_id="good")
    assert stream.next()[0].id == "good"


def test_one_answer_is_not_to_be_had(asking: Wire) -> None:
    status, message = asking.mistake("square", [asking.input("IN", np.array([1], np.int32))])
    wanted = {
        "http": ("501", "HTTP end point doesn't support models with decoupled transaction policy"),
        "grpc": (
            "StatusCode.UNIMPLEMENTED",
            "ModelInfer RPC doesn't support models with decoupled transaction policy",
        ),
    }
    assert (status, message) == wanted[asking.kind]


def test_events(python_server: ServerProcess) -> None:
    body = {"inputs": [{"name": "IN", "shape": [3], "datatype": "INT32", "data": [5, 6, 7]}]}
    answer = httpx.post(python_server.url("/v2/models/repeat/infer_stream"), json=body, timeout=20)
    assert answer.status_code == 200
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [{o["name"]: o["data"] for o in event["outputs"]} for event in events] == [
        {"OUT": [5], "IDX": [0]},
        {"OUT": [6], "IDX": [1]},
        {"OUT": [7], "IDX": [2]},
    ]


def test_generated_events(python_server: ServerProcess) -> None:
    answer = httpx.post(python_server.url("/v2/models/repeat/generate_stream"), json={"IN": [5, 6]}, timeout=20)
    assert answer.status_code == 200
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [(event["OUT"], event["IDX"]) for event in events] == [(5, 0), (6, 1)]
