"""MLflow models in the store: how they are served, what is kept of them, and what is refused; without MLflow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oipserver
from oipserver.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from oipserver.store import ModelStore, StoredModel
from tests.store.mlmodels import save_onnx, save_sklearn


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def sklearn(tmp_path: Path) -> Path:
    return save_sklearn(tmp_path / "saved")


def settings_of(model: StoredModel) -> dict[str, Any]:
    settings = json.loads((model.path / "model-settings.json").read_text())
    assert settings.pop("name") == model.name
    assert settings["parameters"].pop("version") == model.version
    return dict(settings)


def test_a_folder_is_copied_with_what_it_says(store: ModelStore, sklearn: Path) -> None:
    model = oipserver.mlflow.import_model("adder", sklearn, store=store)
    assert settings_of(model) == {"implementation": "mlflow", "parameters": {"uri": "mlflow_model"}}
    source = model.record.source
    assert source["uri"] == source["resolved"] == str(sklearn)
    assert source["flavors"] == ["python_function", "sklearn"]
    assert source["model_uuid"] == "0e4425ecbf3e4672ba0c1741651bb47a"
    folder = Path(oipserver.mlflow.get("adder:latest", store=store).path_of(oipserver.mlflow.MLFLOW_MODEL_FOLDER))
    assert {path.name for path in folder.iterdir()} == {path.name for path in sklearn.iterdir()}


def test_links_become_files(store: ModelStore, sklearn: Path, tmp_path: Path) -> None:
    (sklearn / "model.pkl").rename(tmp_path / "elsewhere.pkl")
    (sklearn / "model.pkl").symlink_to(tmp_path / "elsewhere.pkl")
    (sklearn / "__pycache__").mkdir()
    model = oipserver.mlflow.import_model("adder", sklearn, store=store)
    assert not Path(model.path_of("mlflow_model/model.pkl")).is_symlink()
    assert not (model.path / "mlflow_model" / "__pycache__").exists()


def test_an_onnx_model_goes_to_its_own_runtime(store: ModelStore, tmp_path: Path) -> None:
    model = oipserver.mlflow.import_model("add", save_onnx(tmp_path / "saved"), store=store)
    assert settings_of(model) == {
        "implementation": "onnx",
        "parameters": {
            "uri": "mlflow_model/model.onnx",
            "extra": {"session_options": {"intra_op_num_threads": 1}},
        },
    }


@pytest.mark.parametrize("forced", ["sklearn", "python_function", "mlflow"])
def test_a_runtime_can_be_forced(store: ModelStore, sklearn: Path, forced: str) -> None:
    model = oipserver.mlflow.import_model("adder", sklearn, runtime=forced, store=store)
    told = settings_of(model)
    assert told["implementation"] == ("sklearn" if forced == "sklearn" else "mlflow")
    with oipserver.local("adder", store=store) as local:
        np.testing.assert_allclose(local.predict(np.array([[1.0, 2.0]])).ravel(), [3.0])


def test_a_runtime_that_cannot_be_forced(store: ModelStore, sklearn: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="can be served as 'onnx'; it can be as sklearn or python_function"):
        oipserver.mlflow.import_model("adder", sklearn, runtime="onnx", store=store)
    assert store.models() == []


@pytest.mark.parametrize(
    ("flavors", "file", "expected"),
    [
        ("pytorch: {model_data: data}", "data/model.pt2", ("torch", "data/model.pt2")),
        ("pytorch: {model_data: data}", "data/model.pth", ("mlflow", "")),
        ("catboost: {data: model.cb, save_format: cbm}", "model.cb", ("catboost", "model.cb")),
        ("catboost: {data: model.cb, save_format: json}", "model.cb", ("mlflow", "")),
        ("catboost: {data: ../model.cb}", "model.cb", ("mlflow", "")),
        ("xgboost: {data: model.ubj}", "model.ubj", ("mlflow", "")),
        ("keras: {data: data}", "data/model.keras", ("mlflow", "")),
    ],
)
def test_who_serves_what(store: ModelStore, tmp_path: Path, flavors: str, file: str, expected: tuple[str, str]) -> None:
    path = tmp_path / "saved" / file
    path.parent.mkdir(parents=True)
    path.write_text("artefact")
    loader = flavors.partition(":")[0]
    document = f"flavors:\n  {flavors}\n  python_function: {{loader_module: mlflow.{loader}}}\n"
    (tmp_path / "saved" / "MLmodel").write_text(document)
    told = settings_of(oipserver.mlflow.import_model("m", tmp_path / "saved", store=store))
    implementation, uri = expected
    assert told == {"implementation": implementation, "parameters": {"uri": str(Path("mlflow_model", uri))}}


def test_settings_labels_and_metadata(store: ModelStore, sklearn: Path) -> None:
    model = oipserver.mlflow.import_model(
        "adder:v7",
        sklearn,
        signatures={"predict": {"batchable": True, "batch_dim": 0}},
        labels={"stage": "prod"},
        metadata={"accuracy": np.float32(0.5), "classes": np.arange(2)},
        settings={"max_batch_time": 0.01, "parameters": {"extra": {"engine": "native"}}},
        store=store,
    )
    assert str(model) == "adder:v7"
    assert settings_of(model) == {
        "implementation": "mlflow",
        "max_batch_size": 100,
        "max_batch_time": 0.01,
        "parameters": {"uri": "mlflow_model", "extra": {"engine": "native"}},
    }
    assert model.labels == {"stage": "prod"}
    assert model.metadata == {"accuracy": 0.5, "classes": [0, 1]}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"signatures": {"call": {"batchable": True}}}, "expected 'predict' alone"),
        ({"signatures": {"predict": True}}, "expected 'predict' alone"),
        ({"signatures": {"predict": {"batchable": True, "batch_dim": 1}}}, "along the first axis, got batch_dim 1"),
        ({"labels": {"a": 1}}, "labels: expected text by text"),
        ({"metadata": {"a": object()}}, "metadata: expected what JSON has: a object cannot be kept"),
        ({"settings": {"max_batchsize": 1}}, "'max_batchsize' cannot be set"),
        ({"settings": {"name": "other"}}, "'name' cannot be set"),
        ({"settings": {"max_batch_size": -1}}, "settings: max_batch_size: "),
    ],
)
def test_what_cannot_be_said_of_a_model(store: ModelStore, sklearn: Path, wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidArgumentError, match=reason):
        oipserver.mlflow.import_model("adder", sklearn, store=store, **wrong)
    assert store.models() == []


def test_enforced_inputs(store: ModelStore, sklearn: Path, tmp_path: Path) -> None:
    model = oipserver.mlflow.import_model("adder", sklearn, enforce_inputs=True, store=store)
    assert settings_of(model)["inputs"] == [{"name": "input-0", "datatype": "FP64", "shape": [-1, 2]}]
    with oipserver.local("adder", store=store) as local:
        np.testing.assert_allclose(local.predict(np.array([[1.0, 2.0]])).ravel(), [3.0])
        with pytest.raises(InvalidArgumentError, match=r"Expected \[-1,2\], got \[1,3\]"):
            local.predict(np.array([[1.0, 2.0, 3.0]]))
        with pytest.raises(InvalidArgumentError, match="data-type is 'FP32', but model 'adder' expects 'FP64'"):
            local.predict(np.array([[1.0, 2.0]], np.float32))
    unsigned = save_sklearn(tmp_path / "unsigned", signature=False)
    with pytest.raises(InvalidArgumentError, match="where the signature has tensors"):
        oipserver.mlflow.import_model("other", unsigned, enforce_inputs=True, store=store)


def test_what_is_no_model(store: ModelStore, sklearn: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no folder"):
        oipserver.mlflow.import_model("m", tmp_path / "nowhere", store=store)
    with pytest.raises(NotFoundError, match="there is no folder /nowhere"):
        oipserver.mlflow.import_model("m", "file:///nowhere", store=store)
    with pytest.raises(InvalidArgumentError, match="there is no MLmodel in it"):
        oipserver.mlflow.import_model("m", tmp_path, store=store)
    for document, reason in [
        ("flavors: [", "is not YAML"),
        ("[]", "describes no model"),
        ("flavors: {keras: {data: model}}", "no runtime serves it: its flavors are keras"),
    ]:
        (sklearn / "MLmodel").write_text(document)
        with pytest.raises(InvalidArgumentError, match=f"cannot import .*{reason}") as caught:
            oipserver.mlflow.import_model("m", sklearn, store=store)
        assert ".staging" not in caught.value.message
    assert store.models() == []


def test_a_model_of_no_run_has_nothing_to_take_along(store: ModelStore, sklearn: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="was not logged in a run"):
        oipserver.mlflow.import_model("adder", sklearn, with_run=True, store=store)
    assert store.models() == []


def test_a_version_that_is_there_is_not_even_fetched(store: ModelStore, sklearn: Path) -> None:
    oipserver.mlflow.import_model("adder:1", sklearn, store=store)
    with pytest.raises(AlreadyExistsError, match="there is a 'adder:1' already"):
        oipserver.mlflow.import_model("adder:1", "models:/needs-mlflow/1", store=store)


def test_a_model_of_another_module_is_not_given(store: ModelStore) -> None:
    from oipserver.store import Draft

    store.add("other:1", lambda folder: Draft({"implementation": "identity"}, module="hand"))
    with pytest.raises(NotFoundError, match="'other:1' is no MLflow model: it was stored by 'hand'"):
        oipserver.mlflow.get("other", store=store)


_WITHOUT_MLFLOW = """
import sys
sys.modules["mlflow"] = None  # as if it were not installed
import oipserver
from oipserver.store import ModelStore

store = ModelStore(sys.argv[1])
model = oipserver.mlflow.import_model("adder:1", sys.argv[2], store=store)
for call in (
    lambda: oipserver.mlflow.import_model("x", "models:/x/1", store=store),
    lambda: oipserver.mlflow.load_model("adder", store=store),
    lambda: oipserver.mlflow.load_native("adder", store=store),
):
    try:
        call()
    except oipserver.OIPError as error:
        print(error.message)
print(oipserver.local("adder", store=store).predict([[1, 2]]))
"""


def test_without_mlflow(store: ModelStore, sklearn: Path) -> None:
    """What needs it says so; the rest works."""
    command = [sys.executable, "-c", _WITHOUT_MLFLOW, str(store.root), str(sklearn)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.partition(" needs MLflow")[0] for line in lines[:3]] == ["models:/x/1", "adder:1", "adder:1"]
    assert all('pip install "oipserver[mlflow]"' in line for line in lines[:3])
    assert lines[3] == "[3.]"
