"""The runtimes MLServer's makers publish as packages of their own run here unmodified, in workers, as models and as
bases of models. They are installed without MLServer itself: ``pip install --no-deps mlserver-sklearn ...``."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.server_process import ServerProcess

RUNTIMES = {
    "mlserver_sklearn": "SKLearnModel",
    "mlserver_xgboost": "XGBoostModel",
    "mlserver_lightgbm": "LightGBMModel",
    "mlserver_catboost": "CatboostModel",
}
FEATURES = np.random.default_rng(5).normal(size=(40, 4)).astype(np.float32)
LABELS = (FEATURES.sum(axis=1) > 0).astype(np.int32)


def train_sklearn(folder: Path) -> tuple[str, np.ndarray[Any, Any]]:
    import joblib  # type: ignore[import-untyped]
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    model = LogisticRegression().fit(FEATURES, LABELS)
    joblib.dump(model, folder / "model.joblib")
    return "model.joblib", model.predict(FEATURES)


def train_xgboost(folder: Path) -> tuple[str, np.ndarray[Any, Any]]:
    import xgboost

    model = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(FEATURES, LABELS), num_boost_round=4)
    model.save_model(folder / "model.json")
    return "model.json", model.predict(xgboost.DMatrix(FEATURES))


def train_lightgbm(folder: Path) -> tuple[str, np.ndarray[Any, Any]]:
    import lightgbm

    options = {"objective": "binary", "min_data_in_leaf": 2, "verbose": -1, "num_threads": 1}
    model = lightgbm.train(options, lightgbm.Dataset(FEATURES, LABELS), num_boost_round=4)
    model.save_model(str(folder / "model.bst"))
    return "model.bst", np.asarray(model.predict(FEATURES))


def train_catboost(folder: Path) -> tuple[str, np.ndarray[Any, Any]]:
    import catboost

    model = catboost.CatBoostClassifier(iterations=4, verbose=False, allow_writing_files=False, thread_count=1)
    model.fit(FEATURES, LABELS)
    model.save_model(str(folder / "model.cbm"))
    return "model.cbm", np.asarray(model.predict(FEATURES))


TRAINERS: dict[str, Callable[[Path], tuple[str, np.ndarray[Any, Any]]]] = {
    "mlserver_sklearn": train_sklearn,
    "mlserver_xgboost": train_xgboost,
    "mlserver_lightgbm": train_lightgbm,
    "mlserver_catboost": train_catboost,
}


@pytest.mark.process
@pytest.mark.parametrize("package", RUNTIMES)
def test_runtime_predicts_what_its_framework_does(
    package: str, tmp_path: Path, serve: Callable[..., ServerProcess]
) -> None:
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install --no-deps {package.replace('_', '-')}")
    artefact, expected = TRAINERS[package](tmp_path)
    (tmp_path / "model-settings.json").write_text(
        json.dumps({"name": "m", "implementation": "own.Model", "parameters": {"uri": f"./{artefact}"}})
    )
    # A class of its own, so that no runtime of this server takes the place of the package's.
    (tmp_path / "own.py").write_text(
        f"from {package} import {RUNTIMES[package]}\n\n\nclass Model({RUNTIMES[package]}):\n    pass\n"
    )
    server = serve(tmp_path)
    tensor = {"name": "x", "shape": [40, 4], "datatype": "FP32", "data": FEATURES.ravel().tolist()}
    answer = server.infer("m", {"inputs": [tensor]})
    assert answer.status_code == 200, answer.text
    (output,) = answer.json()["outputs"]
    assert output["name"] == "predict"
    assert output["parameters"]["content_type"] == "np"
    np.testing.assert_allclose(np.array(output["data"]), expected.ravel(), rtol=1e-5)


@pytest.mark.process
def test_outputs_are_chosen_by_name(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    if find_spec("mlserver_sklearn") is None:
        pytest.skip("mlserver_sklearn is not installed: pip install --no-deps mlserver-sklearn")
    train_sklearn(tmp_path)
    (tmp_path / "model-settings.json").write_text(json.dumps({"name": "m", "implementation": "own.SKLearnModel"}))
    (tmp_path / "own.py").write_text("from mlserver_sklearn import SKLearnModel\n")
    server = serve(tmp_path)
    tensor = {"name": "x", "shape": [2, 4], "datatype": "FP32", "data": FEATURES[:2].tolist()}
    both = {"inputs": [tensor], "outputs": [{"name": "predict"}, {"name": "predict_proba"}]}
    outputs = server.infer("m", both).json()["outputs"]
    assert [(output["name"], output["shape"]) for output in outputs] == [("predict", [2, 1]), ("predict_proba", [2, 2])]
    refused = server.infer("m", {"inputs": [tensor], "outputs": [{"name": "nonsense"}]})
    assert refused.status_code == 400
    assert "SKLearnModel only supports" in refused.json()["error"]
