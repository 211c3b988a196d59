"""Models of the frameworks through a whole server: in worker processes, one in the server's own, on both wires."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import catboost
import joblib
import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
import xgboost as xgb
from sklearn.compose import ColumnTransformer  # type: ignore[import-untyped]
from sklearn.datasets import load_iris  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
from sklearn.preprocessing import OneHotEncoder, StandardScaler  # type: ignore[import-untyped]

from oipserver.runtime.cores import usable_cores
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

ROWS, LABELS = load_iris(return_X_y=True)
ROWS = ROWS.astype(np.float32)
NAMES = ("forest", "booster", "trees", "cats")
NAMED = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
THREADS = """
import os
from oipserver import MLModel, Tensor
import numpy as np

class Threads(MLModel):
    def infer_tensors(self, inputs, outputs, parameters):
        return [Tensor.from_array("threads", np.array([int(os.environ["OMP_NUM_THREADS"])]))]
"""


def write(folder: Path, implementation: str, **more: Any) -> Path:
    folder.mkdir(parents=True)
    settings = {"name": folder.name, "implementation": implementation, **more}
    (folder / "model-settings.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The folder of the models, and what each says of the flowers."""
    root = tmp_path_factory.mktemp("models")
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS)
    joblib.dump(pipeline, write(root / "forest", "mlserver_sklearn.SKLearnModel", max_batch_size=64) / "model.joblib")
    booster = xgb.XGBClassifier(n_estimators=5, n_jobs=1).fit(ROWS, LABELS)
    booster.save_model(write(root / "booster", "mlserver_xgboost.XGBoostModel") / "model.json")
    trees = (
        lgb.LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(pd.DataFrame(ROWS, columns=NAMED), LABELS).booster_
    )
    trees.save_model(write(root / "trees", "mlserver_lightgbm.LightGBMModel") / "model.bst")
    cats = catboost.CatBoostClassifier(iterations=5, verbose=0, allow_writing_files=False).fit(ROWS, LABELS)
    cats.save_model(str(write(root / "cats", "mlserver_catboost.CatboostModel", parallel_workers=0) / "model.cbm"))
    told = {"content_type": "np", "units": ["cm", "cm", "cm", "cm"]}
    declared = [{"name": "flowers", "datatype": "FP32", "shape": [-1, 4], "parameters": told}]
    joblib.dump(pipeline, write(root / "declared", "sklearn", inputs=declared) / "model.joblib")
    (write(root / "threads", "threads.Threads") / "threads.py").write_text(THREADS)
    table = {"size": [1.0, 2.0, 3.0, 4.0] * 4, "colour": ["red", "blue", "red", "green"] * 4}
    split = ColumnTransformer([("n", StandardScaler(), ["size"]), ("w", OneHotEncoder(), ["colour"])])
    joblib.dump(
        make_pipeline(split, LogisticRegression()).fit(pd.DataFrame(table), [0, 1, 0, 1] * 4),
        write(root / "table", "sklearn") / "model.joblib",
    )
    return {
        "root": root,
        "forest": pipeline.predict(ROWS).reshape(-1, 1),
        "booster": booster.predict(ROWS).reshape(-1, 1),
        "trees": trees.predict(ROWS),
        "cats": cats.predict(ROWS),
    }


@pytest.fixture(scope="module")
def server(answers: dict[str, Any]) -> Iterator[ServerProcess]:
    with ServerProcess(answers["root"], "--parallel-workers", "2") as started:
        yield started


@pytest.mark.parametrize("name", NAMES)
def test_json_over_rest(name: str, server: ServerProcess, answers: dict[str, Any]) -> None:
    tensor = {"name": "x", "shape": list(ROWS.shape), "datatype": "FP32", "data": ROWS.tolist()}
    body = server.infer(name, {"inputs": [tensor]}).json()
    (output,) = body["outputs"]
    assert (output["name"], output["parameters"]) == ("predict", {"content_type": "np"})
    assert output["shape"] == list(answers[name].shape)
    np.testing.assert_allclose(np.reshape(output["data"], output["shape"]), answers[name], rtol=1e-12)


@pytest.mark.parametrize("client_module", [http_client, grpc_client], ids=["http", "grpc"])
@pytest.mark.parametrize("name", NAMES)
def test_tensors_in_binary(name: str, client_module: Any, server: ServerProcess, answers: dict[str, Any]) -> None:
    client = client_module.InferenceServerClient(server.http if client_module is http_client else server.grpc)
    try:
        item = client_module.InferInput("whatever", list(ROWS.shape), "FP32")
        item.set_data_from_numpy(ROWS)
        got = client.infer(name, [item]).as_numpy("predict")
    finally:
        client.close()
    np.testing.assert_array_equal(got, answers[name])


@pytest.mark.parametrize("client_module", [http_client, grpc_client], ids=["http", "grpc"])
def test_a_table_with_text(client_module: Any, server: ServerProcess) -> None:
    client = client_module.InferenceServerClient(server.http if client_module is http_client else server.grpc)
    try:
        size = client_module.InferInput("size", [2, 1], "FP64")
        size.set_data_from_numpy(np.array([[1.0], [2.0]]))
        colour = client_module.InferInput("colour", [2, 1], "BYTES")
        colour.set_data_from_numpy(np.array([[b"red"], [b"blue"]], dtype=object))
        got = client.infer("table", [size, colour]).as_numpy("predict")
    finally:
        client.close()
    assert got.ravel().tolist() == [0, 1]


@pytest.mark.parametrize("name", NAMES)
def test_metadata(name: str, server: ServerProcess) -> None:
    told = server.get(f"/v2/models/{name}").json()
    assert told["platform"] in ("sklearn", "xgboost", "lightgbm", "catboost")
    (given,) = told["inputs"]
    assert given["shape"] == [-1, 4]
    assert told["outputs"][0]["name"] == "predict"


@pytest.mark.parametrize("name", NAMES)
def test_mistakes_are_400(name: str, server: ServerProcess) -> None:
    narrow = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}
    answer = server.infer(name, {"inputs": [narrow]})
    assert answer.status_code == 400
    assert answer.json()["error"].endswith("Expected [-1,4], got [1,3]")
    right = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}
    answer = server.infer(name, {"inputs": [right], "outputs": [{"name": "odd"}]})
    assert answer.status_code == 400
    assert answer.json()["error"].endswith("as outputs (odd was received)")


def test_parameters_of_inputs_may_be_lists(server: ServerProcess) -> None:
    (learned,) = server.get("/v2/models/trees").json()["inputs"]
    assert learned["parameters"] == {"content_type": "np", "feature_names": NAMED}
    (declared,) = server.get("/v2/models/declared").json()["inputs"]
    assert declared["parameters"] == {"content_type": "np", "units": ["cm", "cm", "cm", "cm"]}


def test_what_the_settings_declare_is_insisted_upon(server: ServerProcess) -> None:
    tensor = {"name": "flowers", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}
    assert server.infer("declared", {"inputs": [tensor]}).status_code == 200
    for wrong in ({**tensor, "name": "x"}, {**tensor, "datatype": "FP64"}):
        assert server.infer("declared", {"inputs": [wrong]}).status_code == 400


def test_workers_share_the_cores(server: ServerProcess) -> None:
    answer = server.infer("threads", {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]})
    assert answer.json()["outputs"][0]["data"] == [max(1, usable_cores() // 2)]
