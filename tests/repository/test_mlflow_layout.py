"""Folders with an MLmodel: which runtime they get, and what they are called."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from oipserver.repository import FileModelRepository, Scan
from oipserver.settings import Environment, ModelSettings

pytest.importorskip("yaml", reason="PyYAML is not installed")

TENSORS = json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}])
COLUMNS = json.dumps([{"type": "double", "name": "a"}])
ONNX = {"onnx": {"data": "model.onnx"}, "python_function": {"loader_module": "mlflow.onnx"}}


def write(folder: Path, flavors: dict[str, Any], inputs: str | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    document = {"flavors": flavors, "signature": {"inputs": inputs, "outputs": None}}
    (folder / "MLmodel").write_text(json.dumps(document))  # JSON is YAML
    (folder / "model.onnx").write_bytes(b"")


def scan(root: Path, **variables: str) -> Scan:
    return asyncio.run(FileModelRepository(root, Environment(variables)).scan())


def only(root: Path, **variables: str) -> ModelSettings:
    found = scan(root, **variables)
    assert not found.problems
    (model,) = found.models
    return model


def test_the_runtime_is_chosen_by_flavor_and_signature(tmp_path: Path) -> None:
    for name, flavors, inputs in (
        ("plain", ONNX, None),
        ("tensors", ONNX, TENSORS),
        ("columns", ONNX, COLUMNS),
        ("other", {"python_function": {"loader_module": "mlflow.sklearn"}}, COLUMNS),
    ):
        write(tmp_path / name, flavors, inputs)
    models = {model.name: model for model in scan(tmp_path).models}
    assert {name: model.implementation for name, model in models.items()} == {
        "plain": "onnx",
        "tensors": "onnx",
        "columns": "mlflow",
        "other": "mlflow",
    }
    assert models["plain"].parameters.uri == str(tmp_path / "plain" / "model.onnx")
    assert models["other"].parameters.uri == str(tmp_path / "other")


def test_options_of_the_session(tmp_path: Path) -> None:
    options = {
        "intra_op_num_threads": 2,
        "execution_mode": "parallel",
        "graph_optimization_level": 99,
        "extra_session_config": {"session.x": "1"},
    }
    write(tmp_path, {"onnx": {"data": "model.onnx", "onnx_session_options": options}})
    assert only(tmp_path).parameters.extra == {
        "session_options": {
            "intra_op_num_threads": 2,
            "graph_optimization_level": 99,
            "execution_mode": "ORT_PARALLEL",
        },
        "session_config_entries": {"session.x": "1"},
    }


@pytest.mark.parametrize(
    ("place", "name", "version"),
    [("wine", "wine", ""), ("wine/3", "wine", "3"), ("m-1/artifacts", "m-1", ""), ("wine/model", "wine", "")],
)
def test_names(tmp_path: Path, place: str, name: str, version: str) -> None:
    write(tmp_path / place, ONNX)
    model = only(tmp_path)
    assert (model.name, model.version) == (name, version)
    assert only(tmp_path / place, MLSERVER_MODEL_NAME="told").name == "told"


def test_the_name_it_was_registered_under(tmp_path: Path) -> None:
    write(tmp_path / "models", ONNX)
    (tmp_path / "models" / "registered_model_meta").write_text("model_name: wine\nmodel_version: '7'\n")
    model = only(tmp_path / "models")
    assert (model.name, model.version) == ("wine", "7")


def test_what_lies_in_the_folder_is_the_models_own(tmp_path: Path) -> None:
    write(tmp_path / "m", {"python_function": {"loader_module": "mlflow.pyfunc.model"}})
    write(tmp_path / "m" / "artifacts" / "inner", ONNX)
    assert only(tmp_path).name == "m"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("flavors: [oops", "is not YAML"),
        ("just text", "expected a mapping with 'flavors'"),
        ("flavors: {}\nsignature: 3", "to be mappings"),
        ("flavors: {}\nsignature: {inputs: '[{'}", "signature.inputs is not JSON"),
        ("flavors: {}\nsignature: {inputs: '" + "[" * 100_000 + "'}", "signature.inputs is not JSON"),
        ("flavors: {}\nsignature: {inputs: '{}'}", "expected a list of objects"),
        ("flavors: !!python/object/apply:os.system [exit]", "is not YAML"),
    ],
)
def test_what_describes_no_model_is_a_problem(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "MLmodel").write_text(text)
    found = scan(tmp_path)
    assert not found.models
    assert told in found.broken["bad"]
