"""A Triton repository is served as it lies: one process over models of every kind, asked by Triton's clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from onnx import helper

from tests.conformance.wires import MISTAKE, WIRES, Wire
from tests.runtimes.onnx.graphs import add, identity, save, value
from tests.support.server_process import ServerProcess

CONFIGURED = """
name: "configured"
platform: "onnxruntime_onnx"
max_batch_size: 8
input [
  { name: "a" data_type: TYPE_FP32 dims: [ 4 ] },
  { name: "b" data_type: TYPE_FP32 dims: [ 2, 2 ] reshape { shape: [ 4 ] } }
]
output [ { name: "sum" data_type: TYPE_FP32 dims: [ 4 ] label_filename: "labels.txt" } ]
instance_group [ { count: 2 kind: KIND_CPU } ]
dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100 }
optimization { graph { level: 1 } }
parameters { key: "intra_op_thread_count" value: { string_value: "1" } }
version_policy: { all { } }
a_field_of_the_future: 1
"""
IDENTITY = """
backend: "identity"
max_batch_size: 4
input [ { name: "INPUT0" data_type: TYPE_STRING dims: [ -1 ] },
        { name: "INPUT1" data_type: TYPE_FP32 dims: [ 1 ] optional: true } ]
output [ { name: "OUTPUT0" data_type: TYPE_STRING dims: [ -1 ] },
         { name: "OUTPUT1" data_type: TYPE_FP32 dims: [ 1 ] } ]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("repository")
    folders = ("configured/1", "configured/3", "guessed/1", "guessed/2", "...", ".../1", "scalar/1", "external/1")
    for folder in (*folders, "identity/1", "external/1/model.onnx"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    add(root / "configured/1/model.onnx", ["rows", 4])
    add(root / "configured/3/model.onnx", ["rows", 4])
    (root / "configured/config.pbtxt").write_text(CONFIGURED)
    (root / "configured/labels.txt").write_text("zero\none\ntwo\nthree\n")
    identity(root / "guessed/1/model.onnx", "FP32", ["n", 2])
    identity(root / "guessed/2/model.onnx", "FP32", ["n", 3])
    identity(root / ".../1/model.onnx", "INT64", [2])
    identity(root / "scalar/1/model.onnx", "FP32", [])
    weights = helper.make_tensor("w", 1, [4, 1024], np.ones(4096, np.float32))
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    inputs, outputs = [value("x", "FP32", ["n", 4])], [value("y", "FP32", ["n", 1024])]
    whole = root / "external/1/model.onnx/model.onnx"
    save(whole, [product], inputs, outputs, [weights], save_as_external_data=True, location="weights.bin")
    (root / "identity/config.pbtxt").write_text(IDENTITY)
    with ServerProcess(root) as process:
        yield process


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[Wire]:
    opened = Wire(request.param, server)
    yield opened
    opened.close()


def ones(*shape: int) -> np.ndarray[Any, Any]:
    return np.ones(shape, np.float32)


def test_it_is_found_by_itself(server: ServerProcess) -> None:
    assert "line 15: unknown field 'a_field_of_the_future' has no effect" in server.output
    rows = httpx.post(server.url("/v2/repository/index")).json()
    assert [(row["name"], row["version"], row["state"]) for row in rows] == [
        ("...", "1", "READY"),
        ("configured", "1", "READY"),
        ("configured", "3", "READY"),
        ("external", "1", "READY"),
        ("guessed", "2", "READY"),
        ("identity", "1", "READY"),
        ("scalar", "1", "READY"),
    ]


def test_a_configured_model(wire: Wire) -> None:
    inputs = [wire.input("a", ones(2, 4)), wire.input("b", np.arange(8, dtype=np.float32).reshape(2, 2, 2))]
    for version in ("", "1", "3"):
        answer = wire.infer("configured", inputs, model_version=version)
        np.testing.assert_array_equal(answer.as_numpy("sum"), [[1, 2, 3, 4], [5, 6, 7, 8]])
        assert answer.as_numpy("difference") is None
    top = wire.infer("configured", inputs, outputs=[wire.output("sum", class_count=1)])
    assert top.as_numpy("sum").reshape(-1).tolist() == [b"4.000000:3:three", b"8.000000:3:three"]


@pytest.mark.parametrize(
    ("a", "b", "complaint"),
    [
        (ones(9, 4), ones(9, 2, 2), "inference request batch-size must be <= 8 for 'configured'"),
        (ones(2, 4), ones(3, 2, 2), "input 'b' batch size does not match other inputs for 'configured'"),
        (
            ones(2, 5),
            ones(2, 2, 2),
            "unexpected shape for input 'a' for model 'configured'. Expected [-1,4], got [2,5]. NOTE: Setting a "
            "non-zero max_batch_size in the model config requires a batch dimension to be prepended to each input "
            "shape. If you want to specify the full shape including the batch dim in your input dims config, try "
            "setting max_batch_size to zero. See the model configuration docs for more info on max_batch_size.",
        ),
    ],
)
def test_requests_that_do_not_fit(wire: Wire, a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], complaint: str) -> None:
    status, message = wire.mistake("configured", [wire.input("a", a), wire.input("b", b)])
    assert (status, complaint in message) == (MISTAKE[wire.kind], True), message


def test_only_configured_outputs_are_there(wire: Wire) -> None:
    inputs = [wire.input("a", ones(1, 4)), wire.input("b", ones(1, 2, 2))]
    for name in ("difference", "predict"):
        status, message = wire.mistake("configured", inputs, outputs=[wire.output(name)])
        assert status == MISTAKE[wire.kind]
        assert f"unexpected inference output '{name}' for model 'configured'" in message


def test_guessed_models(wire: Wire) -> None:
    np.testing.assert_array_equal(wire.infer("guessed", [wire.input("x", ones(4, 3))]).as_numpy("y"), ones(4, 3))
    _, message = wire.mistake("guessed", [wire.input("x", ones(5, 3))])
    assert "inference request batch-size must be <= 4 for 'guessed'" in message
    dots = np.array([3, 4], np.int64)
    np.testing.assert_array_equal(wire.infer("...", [wire.input("x", dots)]).as_numpy("y"), dots)
    np.testing.assert_array_equal(wire.infer("scalar", [wire.input("x", ones(1))]).as_numpy("y"), [1])
    assert wire.infer("external", [wire.input("x", ones(2, 4))]).as_numpy("y").shape == (2, 1024)


def test_the_identity_backend_and_optional_inputs(wire: Wire) -> None:
    text = np.array([["a", "\u00e9", ""]], dtype=object)
    answer = wire.infer("identity", [wire.input("INPUT0", text)])
    assert answer.as_numpy("OUTPUT0").tolist() == [[b"a", "\u00e9".encode(), b""]]
    assert answer.as_numpy("OUTPUT1") is None
    both = wire.infer("identity", [wire.input("INPUT0", text), wire.input("INPUT1", ones(1, 1))])
    np.testing.assert_array_equal(both.as_numpy("OUTPUT1"), ones(1, 1))
    _, message = wire.mistake("identity", [wire.input("INPUT1", ones(1, 1))])
    assert "missing required input(s) ['INPUT0']" in message


def test_a_broken_model_is_told_and_harms_no_other(tmp_path: Path) -> None:
    for name, text in (("good", ""), ("other", "backend: 'vllm'"), ("small", "max_batch_size: 2")):
        (tmp_path / name / "1").mkdir(parents=True)
        identity(tmp_path / name / "1" / "model.onnx", "FP32", [2])
        (tmp_path / name / "config.pbtxt").write_text(text)
    with ServerProcess(tmp_path) as process:
        said = " ".join(process.output.split())
        assert "model 'other' needs backend 'vllm', which is not supported" in said
        assert process.get("/v2/health/ready").status_code == 503
        assert process.get("/v2/models/good/ready").status_code == 200
        assert "autofill failed for model 'small'" in process.get("/v2/models/small/config").json()["error"]
