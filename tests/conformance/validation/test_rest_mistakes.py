"""Every mistake of Triton's table over REST: the client's code and a reason in Triton's sense, in both layouts."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from oipserver.protocol.names import EXPECTED_NAME
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

ROW = list(range(16))


def item(name: str = "INPUT0", **changes: Any) -> dict[str, Any]:
    """An input of ``add``; ``...`` leaves a member out."""
    made = {"name": name, "shape": [1, 16], "datatype": "INT32", "data": ROW, **changes}
    return {key: value for key, value in made.items() if value is not ...}


PAIR = [item(), item("INPUT1")]


def body(*inputs: Any, **members: Any) -> Any:
    return {"inputs": list(inputs) or PAIR, **members}


def output(name: str = "OUTPUT0", **parameters: Any) -> dict[str, Any]:
    return {"name": name, "parameters": parameters}


MISTAKES: dict[str, tuple[Any, str]] = {
    "not JSON": (b"{,", "failed to parse the request JSON buffer: "),
    "invalid UTF-8": (b'{"id": "\xc3\x28"}', "failed to parse the request JSON buffer: "),
    "too deep": (b'{"id":' + b"[" * 5000, "failed to parse the request JSON buffer: "),
    "no inputs": ({}, "Unable to parse 'inputs'"),
    "inputs no list": ({"inputs": {}}, "Unable to parse 'inputs': expected a list"),
    "no name": (body(item(name=...)), "Unable to parse 'name'"),
    "no shape": (body(item(shape=...)), "Unable to parse 'shape'"),
    "no datatype": (body(item(datatype=...)), "Unable to parse 'datatype'"),
    "unknown datatype": (body(item(datatype="INT7")), "invalid datatype for input INPUT0"),
    "no data": (
        body(item(data=...)),
        "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', "
        "'shared_memory_region' in 'parameters'. But no field is set",
    ),
    "data and binary": (
        body(item(parameters={"binary_data_size": 64})),
        "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', "
        "'shared_memory_region' in 'parameters'. But set 'data' 'binary_data_size'",
    ),
    "binary without data": (body(item(data=..., parameters={"binary_data_size": 64})), "binary data"),
    "float for INT": (body(item(data=[1.5] * 16)), "parse 'data'"),
    "text for INT": (body(item(data=["1"] * 16)), "parse 'data'"),
    "too few elements": (body(item(data=ROW[:15])), "parse 'data'"),
    "too many elements": (body(item(data=[*ROW, 1])), "parse 'data'"),
    "null": (body(item(data=None)), "parse 'data'"),
    "out of range": (body(item(data=[2**31] * 16)), "out of range"),
    "negative dimension": (body(item(shape=[-2, 16])), "Unable to parse 'shape'"),
    "overflowing shape": (body(item(shape=[2**62, 2**62])), "more elements than can be addressed"),
    "shape of text": (body(item(shape=["1", 16])), "Unable to parse 'shape'"),
    "too many dimensions": (body(item(shape=[1] * 100, data=[1])), "100 dimensions"),
    "id no string": (body(id=7), "Unable to parse 'id': expected a string"),
    "wrong datatype": (
        body(item(datatype="FP32"), PAIR[1]),
        "inference input 'INPUT0' data-type is 'FP32', but model 'add' expects 'INT32'",
    ),
    "wrong shape": (
        body(PAIR[0], item("INPUT1", shape=[1, 8], data=ROW[:8])),
        "unexpected shape for input 'INPUT1' for model 'add'. Expected [-1,16], got [1,8]",
    ),
    "missing input": (
        body(item()),
        "expected 2 inputs but got 1 inputs for model 'add'. Got input(s) ['INPUT0'], but missing required input(s) "
        "['INPUT1']. Please provide all required input(s).",
    ),
    "unknown input": (body(item("NOPE"), PAIR[1]), "unexpected inference input 'NOPE' for model 'add'"),
    "one input too many": (body(*PAIR, item("MORE")), "unexpected inference input 'MORE' for model 'add'"),
    "input twice": (body(item(), item()), "input 'INPUT0' already exists in request"),
    "thousands of inputs": (body(*[item()] * 5000), "at most 4096 are allowed"),
    "output twice": (body(outputs=[output(), output()]), "output 'OUTPUT0' already exists in request"),
    "unknown output": (body(outputs=[output("NOPE")]), "unexpected inference output 'NOPE' for model 'add'"),
    "outputs no list": (body(outputs="OUTPUT0"), "Unable to parse 'outputs'"),
    "reserved parameter": (
        body(parameters={"triton_mine": 1}),
        "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified",
    ),
    "parameters no object": (body(parameters=[1]), "Unable to parse 'parameters'"),
    "priority no number": (body(parameters={"priority": "high"}), "Unable to parse 'priority'"),
    "priority below 0": (body(parameters={"priority": -1}), "Unable to parse 'priority'"),
    "timeout no integer": (body(parameters={"timeout": 0.5}), "Unable to parse 'timeout'"),
    "binary_data_output no boolean": (
        body(parameters={"binary_data_output": "yes"}),
        "Unable to parse 'binary_data_output': expected a boolean",
    ),
    "binary_data no boolean": (body(outputs=[output(binary_data=1)]), "Unable to parse 'binary_data'"),
    "no body": (b"", "no body"),
}


@pytest.mark.parametrize(("request_body", "phrase"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_the_clients(layout_server: ServerProcess, request_body: Any, phrase: str) -> None:
    content = request_body if isinstance(request_body, bytes) else json.dumps(request_body).encode()
    answer = httpx.post(layout_server.url("/v2/models/add/infer"), content=content, timeout=30)
    assert answer.status_code == 400, answer.text
    assert phrase in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nope/infer", "Request for unknown model: 'nope' is not found"),
        ("add/versions/9/infer", "Request for unknown model: 'add' version 9 is not found"),
        ("add/versions/abc/infer", "Request for unknown model: 'add' version abc is not found"),
        ("%2e%2e/infer", f"Request for unknown model: '..' is not found: {EXPECTED_NAME}"),
        ("a%5Cb/infer", f"Request for unknown model: 'a\\b' is not found: {EXPECTED_NAME}"),
        ("a%00b/infer", f"Request for unknown model: 'a\0b' is not found: {EXPECTED_NAME}"),
    ],
)
def test_what_is_not_there_is_not_found(layout_server: ServerProcess, path: str, message: str) -> None:
    answer = httpx.post(layout_server.url(f"/v2/models/{path}"), json=body(), timeout=30)
    assert answer.status_code == 404
    assert answer.json() == {"error": message}


def test_no_outputs_are_all_outputs(layout_server: ServerProcess) -> None:
    answers = [
        layout_server.infer("add", body(**members)).json() for members in ({}, {"outputs": []}, {"outputs": None})
    ]
    assert [[tensor["name"] for tensor in answer["outputs"]] for answer in answers] == [["OUTPUT0", "OUTPUT1"]] * 3


def test_rows_are_counted_where_the_configuration_bounds_them(layout_server: ServerProcess) -> None:
    most = layout_server.get("/v2/models/add/config").json()["max_batch_size"]

    def ask(first: int, second: int) -> tuple[int, str]:
        inputs = [item(name, shape=[n, 16], data=ROW * n) for name, n in (("INPUT0", first), ("INPUT1", second))]
        answer = layout_server.infer("add", body(*inputs))
        return answer.status_code, answer.text

    if not most:
        assert [ask(rows, rows)[0] for rows in (0, 9)] == [200, 200]
        return
    for rows in (0, 9):
        status, text = ask(rows, rows)
        assert status == 400
        assert "inference request batch-size must be <= 8 for 'add'" in text
    status, text = ask(1, 2)
    assert status == 400
    assert "input 'INPUT1' batch size does not match other inputs for 'add'" in text
