"""generate and generate_stream: flat JSON in Triton's form, V2 requests as MLServer takes them, in both layouts."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

#: Repeats its text as often as REPEATS says, in as many pieces; fails behind them where FAILS is set.
MODEL = """
from oipserver import MLModel
from oipserver.errors import InvalidArgumentError
from oipserver.types import InferenceResponse, ResponseOutput, TensorData


class Words(MLModel):
    async def predict_stream(self, payloads):
        async for payload in payloads:
            found = {item.name: item.data[0] for item in payload.inputs}
            extra = payload.parameters.model_dump() if payload.parameters else {}
            for number in range(int(found.get("REPEATS", 1))):
                text = found["PROMPT"] + str(extra.get("suffix", ""))
                output = ResponseOutput(name="TEXT", shape=[1], datatype="BYTES", data=TensorData(root=[text]))
                yield InferenceResponse(model_name=self.name, outputs=[output])
            if found.get("FAILS"):
                raise InvalidArgumentError("it fails")
"""
INPUTS = [
    {"name": "PROMPT", "datatype": "BYTES", "shape": [1]},
    {"name": "REPEATS", "datatype": "INT32", "shape": [1]},
    {"name": "FAILS", "datatype": "BOOL", "shape": [1]},
]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server over a model that answers in pieces."""
    folder: Path = tmp_path_factory.mktemp("words")
    (folder / "words.py").write_text(MODEL)
    told = {"name": "words", "implementation": "words.Words", "inputs": INPUTS, "parameters": {"version": "1"}}
    (folder / "model-settings.json").write_text(json.dumps(told))
    with ServerProcess(folder, "--parallel-workers", "0") as process:
        yield process


def post(server: ServerProcess, path: str, body: Any, **options: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(server.url(f"/v2/models/{path}"), content=content, timeout=30, **options)


def events(answer: httpx.Response) -> list[Any]:
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text.endswith("\n\n")
    return [json.loads(event.removeprefix("data: ")) for event in answer.text.split("\n\n")[:-1]]


def test_a_model_of_text_is_asked_as_kserve_does(layout_server: ServerProcess) -> None:
    body = {"text_input": "héllo", "parameters": {"temperature": 0.5, "max_tokens": 20}, "id": "42"}
    told = post(layout_server, "text/generate", body)
    assert told.status_code == 200
    assert told.json()["text_output"] == "héllo"
    keys = list(told.json())
    assert keys == sorted(keys)
    assert {"id", "model_name", "text_output"} <= set(keys)
    assert events(post(layout_server, "text/generate_stream", body)) == [told.json()]


def test_lists_fill_the_shape_and_outputs_of_several_elements_are_lists(layout_server: ServerProcess) -> None:
    row = list(range(16))
    told = post(layout_server, "add/generate", {"INPUT0": row, "INPUT1": [1] * 16}).json()
    assert told["OUTPUT0"] == [value + 1 for value in row]
    assert told["OUTPUT1"] == [value - 1 for value in row]
    rows = {"INPUT0": [row, row], "INPUT1": [[1] * 16] * 2}
    assert post(layout_server, "add/generate", rows).json()["OUTPUT0"] == [value + 1 for value in row] * 2
    half = post(layout_server, "identity-FP16/generate", {"x": 0.5})
    assert half.json()["y"] == 0.5


@pytest.mark.parametrize(
    ("path", "body", "status", "phrase"),
    [
        ("nope/generate", {"x": 1}, 404, "Request for unknown model: 'nope' is not found"),
        ("add/versions/9/generate", {"x": 1}, 404, "Request for unknown model: 'add' version 9 is not found"),
        ("add/generate", {"INPUT0": [1] * 16}, 400, "missing required input(s) ['INPUT1']"),
        ("add/generate", {"INPUT0": [1] * 7, "INPUT1": [1] * 16}, 400, "unexpected shape for input 'INPUT0'"),
        ("text/generate", {"text_input": 7}, 400, "BYTES takes strings"),
        ("text/generate", {"text_input": "x", "triton_mine": 1}, 400, "reserved for Triton usage"),
        ("text/generate", {"text_input": "x", "parameters": [1]}, 400, "Unable to parse 'parameters'"),
        ("text/generate", {"text_input": "x", "id": 7}, 400, "Unable to parse 'id'"),
        ("text/generate", [], 400, "expected a JSON object, got a list"),
        ("text/generate", b"{", 400, "failed to parse the request JSON buffer"),
        ("text/generate", b"", 400, "failed to parse the request JSON buffer"),
    ],
)
def test_mistakes(layout_server: ServerProcess, path: str, body: Any, status: int, phrase: str) -> None:
    for way in (path, f"{path}_stream"):
        answer = post(layout_server, way, body)
        assert answer.status_code == status, answer.text
        assert phrase in answer.json()["error"]


def test_generate_is_asked_by_post_alone(layout_server: ServerProcess) -> None:
    for way in ("generate", "generate_stream"):
        assert layout_server.get(f"/v2/models/text/{way}").status_code == 405


def test_a_v2_request_is_answered_as_one(layout_server: ServerProcess) -> None:
    body = {"inputs": [{"name": "text_input", "shape": [1, 1], "datatype": "BYTES", "data": ["x"]}]}
    answers = [post(layout_server, f"text/{way}", body).json() for way in ("infer", "generate")]
    assert answers[0] == answers[1]
    (streamed,) = events(post(layout_server, "text/generate_stream", body))
    assert streamed == answers[0]
    packed = post(layout_server, "text/generate", gzip.compress(json.dumps(body).encode()),
                  headers={"content-encoding": "gzip"})  # fmt: skip
    assert packed.json() == answers[0]


def test_every_answer_is_an_event(words: ServerProcess) -> None:
    answer = post(words, "words/generate_stream", {"PROMPT": "hi", "REPEATS": 3, "suffix": "!", "id": "7"})
    told = {"TEXT": "hi!", "id": "7", "model_name": "words", "model_version": "1"}
    assert events(answer) == [told] * 3
    assert b"".join(answer.iter_bytes()).startswith(b'data: {"TEXT":"hi!","id":"7","model_name":"words"')


def test_an_error_behind_answers_is_an_event(words: ServerProcess) -> None:
    told = events(post(words, "words/generate_stream", {"PROMPT": "hi", "REPEATS": 1, "FAILS": True}))
    assert [event.get("TEXT") for event in told] == ["hi", None]
    assert told[1] == {"error": "it fails"}


def test_an_error_before_any_answer_has_a_status(words: ServerProcess) -> None:
    answer = post(words, "words/generate_stream", {"PROMPT": "hi", "REPEATS": 0, "FAILS": True})
    assert (answer.status_code, answer.json()) == (400, {"error": "it fails"})


@pytest.mark.parametrize("repeats", [0, 2, 10**9])
def test_generate_takes_exactly_one_answer(words: ServerProcess, repeats: int) -> None:
    answer = post(words, "words/generate", {"PROMPT": "hi", "REPEATS": repeats})
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        "generate expects model to produce exactly 1 response, use generate stream for model that generates various "
        "number of responses"
    )
    assert post(words, "words/generate", {"PROMPT": "hi", "REPEATS": 1}).json()["TEXT"] == "hi"
