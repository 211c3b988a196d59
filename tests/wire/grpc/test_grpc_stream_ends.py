"""How requests and streams end: last answers that say so, and errors that end the whole stream for those who ask."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from oipserver.pb import inference_pb2 as pb
from oipserver.wire.grpc import SERVICE

from .clients import infer_message
from .serving import Served, serving


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving({"echo": "Echo", "broken": "Broken", "marking": "Marking"}) as running:
        yield running


def message(model: str, request: str, *, empty_final: bool = False, **fields: str) -> pb.ModelInferRequest:
    made = infer_message(model, id=request, **fields)
    if empty_final:
        made.parameters["triton_enable_empty_final_response"].bool_param = True
    return made


def ask(served: Served, *requests: pb.ModelInferRequest, ends: bool = False) -> tuple[list[tuple[str, str, bool]], str]:
    """Id, error and mark of every answer, and the status the stream ended with."""
    with served.channel() as channel:
        method = channel.stream_stream(
            f"/{SERVICE}/ModelStreamInfer",
            pb.ModelInferRequest.SerializeToString,
            pb.ModelStreamInferResponse.FromString,
        )
        call = method(iter(requests), timeout=30, metadata=[("triton_grpc_error", "true")] if ends else [])
        got = []
        try:
            for answer in call:
                mark = answer.infer_response.parameters["triton_final_response"].bool_param
                got.append((answer.infer_response.id, answer.error_message, mark))
        except grpc.RpcError:
            return got, f"{call.code().name}: {call.details()}"
        return got, call.code().name


@pytest.mark.parametrize("empty_final", [False, True])
def test_a_last_piece_that_says_so_is_the_last_answer(served: Served, empty_final: bool) -> None:
    got, status = ask(served, message("marking", "1", empty_final=empty_final))
    assert got == [("1", "", False), ("1", "", True)]
    assert status == "OK"


@pytest.mark.parametrize("empty_final", [False, True])
def test_the_answer_of_a_model_that_answers_once_is_final(served: Served, empty_final: bool) -> None:
    got, _ = ask(served, message("echo", "1", empty_final=empty_final))
    assert got == [("1", "", True)]


def test_an_error_of_a_model_ends_the_stream_for_those_who_ask(served: Served) -> None:
    got, status = ask(served, message("broken", "1"), message("echo", "2"), ends=True)
    assert got == []
    assert status == "INTERNAL: model 'broken' failed: ZeroDivisionError: inside the model"


def test_what_no_model_saw_stays_in_the_stream_all_the_same(served: Served) -> None:
    unreadable = message("echo", "3")
    unreadable.raw_input_contents.append(b"")
    got, status = ask(
        served,
        message("nope", "1"),
        message("echo", "2", model_version="seven"),
        unreadable,
        message("nope", "4", empty_final=True),
        message("echo", "5"),
        ends=True,
    )
    assert [(request, bool(error), mark) for request, error, mark in got] == [
        ("1", True, True),
        ("2", True, True),
        ("3", True, True),
        ("4", True, True),
        ("5", False, True),
    ]
    assert got[1][1].startswith("failed to get model version from specified version string 'seven'")
    assert status == "OK"
