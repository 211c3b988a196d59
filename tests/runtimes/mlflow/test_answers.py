"""Whatever a model answers becomes tensors, and whatever came becomes what a model without a signature takes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from oipserver_mlflow.answers import Answers
from oipserver_mlflow.inputs import Inputs
from oipserver_mlflow.schema import fields_of

from oipserver import Tensor
from oipserver.errors import InternalError, InvalidArgumentError
from oipserver.repository.mlmodel import MLmodel

pd: Any = pytest.importorskip("pandas", reason="pandas is not installed")


def outputs(answer: Any) -> dict[str, tuple[str, Any]]:
    return {tensor.name: (tensor.datatype, tensor.array.tolist()) for tensor in Answers((), "m").tensors(answer)}


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (np.array([[1.5], [2.5]]), ("FP64", [[1.5], [2.5]])),
        (np.float32(1.5), ("FP32", [1.5])),
        ([1, 2], ("INT64", [1, 2])),
        ((True, False), ("BOOL", [True, False])),
        ("text", ("BYTES", [b"text"])),
        (["a", "ä"], ("BYTES", [b"a", "ä".encode()])),
        ([b"\xff"], ("BYTES", [b"\xff"])),
        (np.array(["2026-01-02"], "datetime64[D]"), ("BYTES", [b"2026-01-02"])),
        ([[1], [2, 3]], ("BYTES", [b"[1]", b"[2, 3]"])),
        ([{"a": np.int64(1)}, None], ("BYTES", [b'{"a": 1}', b"null"])),
        ([datetime(2026, 1, 2), "x"], ("BYTES", [b'"2026-01-02T00:00:00"', b'"x"'])),
        ([1, "x"], ("BYTES", [b"1", b'"x"'])),
        ([], ("BYTES", [])),
        (None, ("BYTES", [b"null"])),
    ],
)
def test_one_output(answer: Any, wanted: tuple[str, Any]) -> None:
    assert outputs(answer) == {"output-0": wanted}


def test_tables_and_dictionaries_have_an_output_for_each_name() -> None:
    frame = pd.DataFrame({0: [1, 2], "t": ["a", "b"], "n": [{"x": 1}, None]})
    found = outputs(frame)
    assert found["0"] == ("INT64", [1, 2])
    assert found["t"] == ("BYTES", [b"a", b"b"])
    assert [json.loads(text) for text in found["n"][1]] == [{"x": 1}, None]
    assert outputs(pd.Series([1.5], name="s")) == {"s": ("FP64", [1.5])}
    assert outputs(pd.Series([1.5])) == {"output-0": ("FP64", [1.5])}
    assert outputs({"a": [1], "b": np.zeros((1, 2))}) == {"a": ("INT64", [1]), "b": ("FP64", [[0.0, 0.0]])}


def test_sparse_answers_are_filled_in() -> None:
    scipy = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    assert outputs(scipy.csr_matrix(np.eye(2))) == {"output-0": ("FP64", [[1.0, 0.0], [0.0, 1.0]])}


def test_what_no_tensor_can_hold() -> None:
    for answer in (object(), np.array([1j])):
        with pytest.raises(InternalError, match="model 'm' answered with"):
            outputs(answer)


def test_inputs_without_a_signature() -> None:
    inputs = Inputs(MLmodel({}, None, None, (), from_type_hint=False, example=None), fields_of(None, "input"), "m")
    a, b = Tensor.from_array("a", np.array([1, 2])), Tensor.from_array("b", np.array([b"x", b"y"], object))
    assert inputs.value([a], {}).tolist() == [1, 2]
    assert inputs.value([a, b], {}).to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}
    assert inputs.value([a], {"content_type": "pd"}).to_dict("list") == {"a": [1, 2]}
    assert set(inputs.value([a], {"content_type": "dict"})) == {"a"}
    assert inputs.value([b], {"content_type": "np"}).tolist() == ["x", "y"]
    with pytest.raises(InvalidArgumentError, match="got none for model 'm'"):
        inputs.value([], {})
    with pytest.raises(InvalidArgumentError, match="of one length"):
        inputs.value([a, Tensor.from_array("c", np.zeros(3))], {})
