"""What reaches ``predict``: each form as it is, and as MLflow's command line hands it over after pandas.read_json."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("mlflow", reason="the plugin needs MLflow")
from mlflow.exceptions import MlflowException

from oipserver.integrations.mlflow.answers import Answer
from oipserver.integrations.mlflow.bodies import read_body
from oipserver.protocol import InferResponse
from oipserver.tensor import Tensor


def model(**inputs: tuple[str, list[int]]) -> dict[str, Any]:
    return {"name": "m", "inputs": [{"name": n, "datatype": d, "shape": s} for n, (d, s) in inputs.items()]}


TWO = model(A=("FP32", [-1, 2]), B=("INT64", [-1, 1]))
ONE = model(x=("FP64", [-1, 2]))
COLUMNS = model(a=("FP64", [-1]), b=("BYTES", [-1]))
V2 = {
    "inputs": [
        {"name": "A", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2]},
        {"name": "B", "datatype": "INT64", "shape": [1, 1], "data": [[7]]},
    ]
}
A, B = np.array([[1.5, 2]], np.float32), np.array([[7]])


def from_file(document: Any) -> pd.DataFrame:
    return pd.read_json(io.StringIO(json.dumps(document)))


def arrays(given: Any, metadata: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    return {tensor.name: tensor.array for tensor in read_body(given, metadata).inputs}


@pytest.mark.parametrize(
    "document",
    [
        V2,
        {"id": "q", **V2},
        {**V2, "outputs": [{"name": "y"}, {"name": "z"}]},
        {"id": "q", **V2, "outputs": [{"name": "y"}, {"name": "z"}]},
        {"inputs": {"A": [[1.5, 2]], "B": [[7]]}},
    ],
)
@pytest.mark.parametrize("through", [lambda document: document, from_file], ids=["direct", "file"])
def test_tensors(document: dict[str, Any], through: Any) -> None:
    body = read_body(through(document), TWO)
    assert not body.predictions
    assert body.id == document.get("id", "")
    assert [output.name for output in body.outputs] == [each["name"] for each in document.get("outputs", [])]
    for tensor, expected in zip(body.inputs, (A, B), strict=True):
        assert tensor.array.dtype == expected.dtype
        np.testing.assert_array_equal(tensor.array, expected)


@pytest.mark.parametrize(
    ("document", "metadata", "expected"),
    [
        ({"dataframe_split": {"columns": ["p", "q"], "data": [[1, 2.5], [3, 4]]}}, ONE, {"x": [[1, 2.5], [3, 4]]}),
        ({"dataframe_records": [{"p": 1, "q": 2.5}]}, ONE, {"x": [[1, 2.5]]}),
        ({"instances": [[1, 2.5], [3, 4]]}, ONE, {"x": [[1, 2.5], [3, 4]]}),
        ({"inputs": [[1, 2.5], [3, 4]]}, ONE, {"x": [[1, 2.5], [3, 4]]}),
        ([{"a": 1, "b": "t", "c": 0}], COLUMNS, {"a": [1.0], "b": [b"t"]}),
        ({"instances": [{"a": 1, "b": "t"}]}, COLUMNS, {"a": [1.0], "b": [b"t"]}),
        ({"dataframe_records": [{"a": 1, "b": "t"}]}, COLUMNS, {"a": [1.0], "b": [b"t"]}),
        ([{"B": 7, "A": [1.5, 2]}], TWO, {"B": [[7]], "A": [[1.5, 2]]}),
    ],
)
@pytest.mark.parametrize("through", [lambda document: document, from_file], ids=["direct", "file"])
def test_tables_and_rows(document: Any, metadata: dict[str, Any], expected: dict[str, Any], through: Any) -> None:
    given = through(document)
    if isinstance(given, list):
        given = pd.DataFrame(given)
    assert read_body(given, metadata).predictions
    assert {name: array.tolist() for name, array in arrays(given, metadata).items()} == expected


@pytest.mark.parametrize(
    ("given", "metadata"),
    [
        (np.array([[1, 2]], np.int32), ONE),
        ([[1, 2]], ONE),
        ({"x": np.array([[1, 2]], np.float32)}, ONE),
        ({"x": [np.array([1, 2])]}, ONE),
        ({"inputs": {"x": ((1, 2),)}}, ONE),
        (pd.DataFrame([[1, 2]]), ONE),
    ],
)
def test_values_of_python_take_the_datatype_of_the_model(given: Any, metadata: dict[str, Any]) -> None:
    array = arrays(given, metadata)["x"]
    assert array.dtype == np.float64
    assert array.tolist() == [[1, 2]]


def test_a_model_whose_input_is_called_inputs() -> None:
    metadata = model(inputs=("FP32", [-1]))
    assert arrays({"inputs": [1.0, 2.0]}, metadata)["inputs"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("given", "metadata", "words"),
    [
        (np.ones((1, 2)), TWO, "say which one"),
        ({"C": [1]}, TWO, "unexpected inference input 'C' for model 'm', expected .'A', 'B'."),
        ({}, TWO, "was given no inputs"),
        ({"A": [[1, 2]], "B": np.array([[1.5]])}, TWO, "input 'B' data-type is float64, but model 'm' expects INT64"),
        ({"A": [["x", "y"]]}, TWO, "'A'"),
        ({"A": [[1, 2], [3]]}, TWO, "regular tensor"),
        ("text", ONE, "type str are not understood"),
        ({"dataframe_split": {"columns": ["a"]}}, ONE, "does not hold a table"),
        ({"dataframe_records": [{"p": "x", "q": "y"}]}, ONE, "x"),
        ({"inputs": [{"name": "x", "datatype": "FP99", "shape": [1], "data": [1]}]}, ONE, "FP99"),
    ],
)
def test_what_cannot_be_sent(given: Any, metadata: dict[str, Any], words: str) -> None:
    with pytest.raises(MlflowException, match=words) as raised:
        read_body(given, metadata)
    assert raised.value.error_code == "BAD_REQUEST"


def test_answers_have_the_form_of_the_question(tmp_path: Any) -> None:
    outputs = [Tensor.from_array("y", np.array([[1], [2]]), parameters={"content_type": "np"})]
    tensors = Answer(InferResponse("m", outputs), predictions=False)
    table = Answer(InferResponse("m", outputs), predictions=True)
    assert tensors.to_json() == '{"outputs": {"y": [[1], [2]]}}'
    assert table.to_json() == '{"predictions": [1, 2]}'
    assert table.get_predictions("ndarray").tolist() == [1, 2]
    table.to_json(str(tmp_path / "out.json"))
    assert json.loads((tmp_path / "out.json").read_text()) == {"predictions": [1, 2]}


def test_text_and_several_outputs() -> None:
    outputs = [
        Tensor.from_array("t", np.array([[b"a", b"b"], [b"c", b"d"]], object)),
        Tensor.from_array("n", np.array(5.0)),
        Tensor.from_array("e", np.empty((0, 2), np.float32)),
    ]
    answer = Answer(InferResponse("m", outputs), predictions=True)
    assert answer["predictions"] == {"t": [["a", "b"], ["c", "d"]], "n": 5.0, "e": []}
