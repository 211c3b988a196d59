"""The binary tensor data extension and raw requests over REST, byte for byte, of models in both layouts."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

LENGTH = "inference-header-content-length"
ROW = np.arange(16, dtype=np.int32)


def post(server: ServerProcess, model: str, content: bytes, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(server.url(f"/v2/models/{model}/infer"), content=content, headers=named, timeout=30)


def item(name: str, size: int, shape: tuple[int, ...] = (1, 16), datatype: str = "INT32") -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}}


def ask(
    server: ServerProcess, document: Any, blob: bytes, model: str = "add", length: str | None = None
) -> httpx.Response:
    text = json.dumps(document).encode()
    return post(server, model, text + blob, inference_header_content_length=length or str(len(text)))


def parts(answer: httpx.Response) -> tuple[dict[str, Any], bytes]:
    assert answer.status_code == 200, answer.text
    length = int(answer.headers[LENGTH])
    return json.loads(answer.content[:length]), answer.content[length:]


PAIR = [item("INPUT0", 64), item("INPUT1", 64)]
DATA = ROW.tobytes() * 2


def test_all_outputs_binary(layout_server: ServerProcess) -> None:
    answer = ask(layout_server, {"inputs": PAIR, "parameters": {"binary_data_output": True}}, DATA)
    document, blob = parts(answer)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert [tensor["parameters"] for tensor in document["outputs"]] == [{"binary_data_size": 64}] * 2
    assert blob == (ROW * 2).tobytes() + bytes(64)


def test_outputs_in_both_forms(layout_server: ServerProcess) -> None:
    wanted = [{"name": "OUTPUT1", "parameters": {"binary_data": True}}, {"name": "OUTPUT0"}]
    body = {"inputs": PAIR, "outputs": wanted, "parameters": {"binary_data_output": True}}
    document, blob = parts(ask(layout_server, body, DATA))
    assert blob == bytes(64)
    by_name = {tensor["name"]: tensor for tensor in document["outputs"]}
    assert by_name["OUTPUT0"]["data"] == (ROW * 2).tolist()
    assert "data" not in by_name["OUTPUT1"]


def test_json_answers_have_no_length(layout_server: ServerProcess) -> None:
    answer = ask(layout_server, {"inputs": PAIR}, DATA)
    assert answer.headers["content-type"] == "application/json"
    assert LENGTH not in answer.headers
    assert answer.json()["outputs"][0]["data"] == (ROW * 2).tolist()


def test_inputs_in_both_forms(layout_server: ServerProcess) -> None:
    plain = {"name": "INPUT0", "shape": [1, 16], "datatype": "INT32", "data": ROW.tolist()}
    answer = ask(layout_server, {"inputs": [plain, PAIR[1]]}, ROW.tobytes())
    assert answer.json()["outputs"][0]["data"] == (ROW * 2).tolist()


@pytest.mark.parametrize(
    ("inputs", "blob", "length", "phrase"),
    [
        (PAIR, DATA + b"x", None, "unexpected additional input data for model 'add'"),
        (PAIR, DATA[:-4], None, "unexpected size for input 'INPUT1', expecting 4 additional bytes for model 'add'"),
        (
            [PAIR[0], item("INPUT1", 68)],
            DATA + bytes(4),
            None,
            "input byte size mismatch for input 'INPUT1' for model 'add'. Expected 64, got 68",
        ),
        ([PAIR[0], item("INPUT1", -1)], DATA, None, "Unable to parse 'binary_data_size'"),
        ([PAIR[0], item("INPUT1", 2**60)], DATA, None, "unexpected size for input 'INPUT1'"),
        (PAIR, DATA, "999999", "inference header size should be in range (0, "),
        (PAIR, DATA, "abc", "Unable to parse Inference-Header-Content-Length, got: abc"),
        (PAIR, DATA, "-5", "Unable to parse Inference-Header-Content-Length, got: -5"),
    ],
)
def test_sizes_that_lie(layout_server: ServerProcess, inputs: Any, blob: bytes, length: Any, phrase: str) -> None:
    answer = ask(layout_server, {"inputs": inputs}, blob, length=length)
    assert answer.status_code == 400
    assert phrase in answer.json()["error"]


@pytest.mark.parametrize(
    ("blob", "phrase"),
    [
        (
            b"\0\0\0\0\x32\0\0\0abc",
            "incomplete string data for inference input 'x', expecting string of length 50 but only 3 bytes available",
        ),
        (b"\x01\0\0\0a\x01\0\0", "'x'"),
        (b"\x01\0\0\0a", "expected 2 string elements for inference input 'x'"),
        (b"\0\0\0\0" * 3, "unexpected number of string elements"),
    ],
)
def test_text_that_lies_about_its_length(layout_server: ServerProcess, blob: bytes, phrase: str) -> None:
    body = {"inputs": [item("x", len(blob), (1, 2), "BYTES")]}
    answer = ask(layout_server, body, blob, "identity-BYTES")
    assert answer.status_code == 400
    assert phrase in answer.json()["error"]


def test_text_is_packed_as_in_tritons_documents(layout_server: ServerProcess) -> None:
    golden = bytes.fromhex("0300000061c3a900000000")
    body = {"inputs": [item("x", len(golden), (1, 2), "BYTES")], "parameters": {"binary_data_output": True}}
    assert parts(ask(layout_server, body, golden, "identity-BYTES"))[1] == golden


# -- raw requests: the body is the only input, and there is no JSON --------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"inference_header_content_length": "0"}])
def test_a_raw_body_is_the_only_input(layout_server: ServerProcess, headers: dict[str, str]) -> None:
    row = np.array([[1, 4, 2, 3]], np.float32).tobytes()
    document, blob = parts(post(layout_server, "scores", row, content_type="application/octet-stream", **headers))
    assert blob == row
    assert [(tensor["name"], tensor["shape"]) for tensor in document["outputs"]] == [("y", [1, 4])]


def test_a_raw_text_is_bare(layout_server: ServerProcess) -> None:
    document, blob = parts(post(layout_server, "text", b'{"not": "JSON', content_type="application/octet-stream"))
    assert blob == b"\x0d\0\0\0" + b'{"not": "JSON'
    assert document["outputs"][0]["shape"] == [1, 1]


@pytest.mark.parametrize(
    ("model", "content", "phrase"),
    [
        (
            "add",
            bytes(64),
            "Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'add' model configuration",
        ),
        ("scores", bytes(15), "input byte size mismatch for input 'x' for model 'scores'"),
        ("scores", b"", "no body"),
    ],
)
def test_raw_bodies_that_cannot_be_read(layout_server: ServerProcess, model: str, content: bytes, phrase: str) -> None:
    answer = post(layout_server, model, content, content_type="application/octet-stream")
    assert answer.status_code == 400
    assert phrase in answer.json()["error"]
