"""Models that MLflow saved, on all wires, beside what MLflow itself answers for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

COLUMNS = ("sk_df", "sk_proba", "xgb_booster", "xgb_sklearn", "lgbm")
ARRAYS = {"sk_nd": "FP64", "sk_nosig": "FP64", "py_dict": "FP64", "torch_pt2": "FP32", "torch_pickle": "FP32"}
MODELS = (*COLUMNS, *ARRAYS, "py_hint", "onnx_two", "onnx_external")
WIRES = ("json", "binary", "grpc")
Given = dict[str, tuple[str, np.ndarray[Any, Any]]]


def ask(server: ServerProcess, wire: str, model: str, given: Given) -> dict[str, Any]:
    """The outputs for ``given``, by name."""
    module: Any = tritonclient.grpc if wire == "grpc" else tritonclient.http
    options: dict[str, Any] = {} if wire == "grpc" else {"binary_data": wire == "binary"}
    inputs = []
    for name, (datatype, array) in given.items():
        tensor = module.InferInput(name, list(array.shape), datatype)
        tensor.set_data_from_numpy(array, **options)
        inputs.append(tensor)
    client = module.InferenceServerClient(server.grpc if wire == "grpc" else server.http)
    try:
        result = client.infer(model, inputs)
        response = result.get_response()
        outputs = response["outputs"] if isinstance(response, dict) else response.outputs
        names = [output["name"] if isinstance(output, dict) else output.name for output in outputs]
        return {name: result.as_numpy(name) for name in names}
    finally:
        client.close()


@pytest.fixture(scope="module")
def truth(mlflow_models: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(f"{mlflow_models}.json").read_text())
    return found


def given_to(model: str, rows: np.ndarray[Any, Any]) -> Given:
    """The rows as the model's metadata ask for them."""
    if model in COLUMNS:
        return {name: ("FP64", np.ascontiguousarray(rows[:, index])) for index, name in enumerate("abcd")}
    if model == "py_hint":
        return {"input-0": ("BYTES", np.array([b"one", b"two"], dtype=object))}
    if model.startswith("onnx"):
        names = ("x0", "x1") if model == "onnx_two" else ("x0",)
        return {name: ("FP32", rows.astype(np.float32)) for name in names}
    datatype = ARRAYS[model]
    return {"input-0": (datatype, rows.astype(np.float32 if datatype == "FP32" else np.float64))}


def plain(array: Any) -> Any:
    return [element.decode() for element in array.tolist()] if array.dtype == object else array


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("model", MODELS)
def test_answers_are_those_of_mlflow(mlflow_server: ServerProcess, truth: Any, model: str, wire: str) -> None:
    if model not in truth["answers"]:
        pytest.skip("PyTorch is not installed")
    outputs = ask(mlflow_server, wire, model, given_to(model, np.array(truth["rows"])))
    wanted = truth["answers"][model]
    assert outputs.keys() == wanted.keys()
    for name, array in outputs.items():
        if array.dtype == object:
            assert plain(array) == wanted[name]
        else:
            np.testing.assert_allclose(array, np.array(wanted[name]), rtol=1e-5)


@pytest.mark.parametrize("wire", WIRES)
def test_other_forms_of_a_table(mlflow_server: ServerProcess, truth: Any, wire: str) -> None:
    rows = np.array(truth["rows"])
    wanted = truth["answers"]["sk_df"]["output-0"]
    narrow = {name: ("FP32", rows[:, [index]].astype(np.float32)) for index, name in enumerate("abcd")}
    reordered = {name: narrow[name] for name in "dcba"} | {"extra": ("INT64", np.zeros(3, np.int64))}
    for given in (narrow, reordered, {"whole": ("FP64", rows)}):
        assert ask(mlflow_server, wire, "sk_df", given)["output-0"].tolist() == wanted
    by_column = {name: ("FP64", rows[:, index].copy()) for index, name in enumerate("abcd")}
    summed = ask(mlflow_server, wire, "py_dict", by_column)["sum"]  # columns for a model that takes one array
    np.testing.assert_allclose(summed, truth["answers"]["py_dict"]["sum"])
    upcast = {"input-0": ("FP32", rows.astype(np.float32))}
    np.testing.assert_allclose(ask(mlflow_server, wire, "py_dict", upcast)["sum"], summed, rtol=1e-5)


FLOATS = np.ones(2)
MISTAKES: dict[str, tuple[str, Given, str]] = {
    "missing": ("sk_df", {"a": ("FP64", FLOATS)}, r"missing inputs \['b', 'c', 'd'\]"),
    "datatype": ("sk_df", {name: ("BYTES", np.array([b"x"], object)) for name in "abcd"}, "'a' data-type is 'BYTES'"),
    "lengths": ("sk_df", {name: ("FP64", np.ones(1 + (name == "d"))) for name in "abcd"}, "of one length"),
    "shape": ("sk_df", {name: ("FP64", np.ones((2, 2))) for name in "abcd"}, "unexpected shape for input 'a'"),
    "width": ("sk_nd", {"input-0": ("FP64", np.ones((1, 3)))}, "unexpected shape for input 'input-0'"),
    "whole text": ("py_hint", {"input-0": ("FP64", FLOATS)}, "'input-0' data-type is 'FP64'"),
    "booster": ("xgb_booster", {"whole": ("FP64", np.ones((1, 3)))}, "missing inputs"),
    "no columns": ("sk_nosig", {"input-0": ("FP64", np.ones((1, 3)))}, "3 features"),
    "no text": ("py_types", {"text": ("INT64", np.ones(1, np.int64))}, "missing inputs"),
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_the_clients(mlflow_server: ServerProcess, mistake: str, wire: str) -> None:
    model, given, told = MISTAKES[mistake]
    with pytest.raises(InferenceServerException, match=told) as caught:
        ask(mlflow_server, wire, model, given)
    assert caught.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")


@pytest.mark.parametrize("wire", WIRES)
def test_columns_of_every_type(mlflow_server: ServerProcess, wire: str) -> None:
    # In JSON there are no bytes: base64 stands for them.
    data = b"AP8=" if wire == "json" else b"\x00\xff"
    given = {
        "text": ("BYTES", np.array(["ä".encode()], object)),
        "data": ("BYTES", np.array([data], object)),
        "when": ("BYTES", np.array([b"2026-01-02T03:04:05"], object)),
        "many": ("BYTES", np.array([b"[1, 2, 3]"], object)),
    }
    outputs = ask(mlflow_server, wire, "py_types", given)
    told = "ä b'\\x00\\xff' 2026-01-02 6"
    assert outputs["told"].tolist() == [told.encode()]
    assert outputs["size"].tolist() == [len(told)]
    assert json.loads(outputs["seen"][0]) == {"is": told}


def test_parameters_are_the_models(mlflow_server: ServerProcess) -> None:
    client = tritonclient.http.InferenceServerClient(mlflow_server.http)
    tensor = tritonclient.http.InferInput("input-0", [1, 4], "FP64")
    tensor.set_data_from_numpy(np.ones((1, 4)))
    for given, factor in (({"k": 3.0, "unknown": 1}, 3.0), ({}, 2.0)):
        assert client.infer("py_dict", [tensor], parameters=given).as_numpy("sum").tolist() == [4.0 * factor]
    with pytest.raises(InferenceServerException, match="Can not safely convert"):
        client.infer("py_dict", [tensor], parameters={"k": "x"})
    client.close()


def test_metadata_are_the_signatures_with_outputs_as_they_truly_are(mlflow_server: ServerProcess) -> None:
    client = tritonclient.http.InferenceServerClient(mlflow_server.http)
    column = client.get_model_metadata("lgbm")
    assert [tensor["name"] for tensor in column["inputs"]] == ["a", "b", "c", "d"]
    assert {(tensor["datatype"], tuple(tensor["shape"])) for tensor in column["inputs"]} == {("FP64", (-1,))}
    # The signature says long: the model was logged with the labels, and answers with probabilities.
    assert column["outputs"] == [{"name": "output-0", "datatype": "FP64", "shape": [-1]}]
    assert client.get_model_metadata("sk_nd")["outputs"][0]["datatype"] == "INT64"
    (param,) = json.loads(client.get_model_metadata("py_dict")["parameters"]["mlflow_params"])
    assert (param["name"], param["default"]) == ("k", 2.0)
    client.close()
