"""A registry with models of several kinds on SQLite, and servers to deploy them on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mlflow", reason="the plugin needs MLflow")
import mlflow
import numpy as np
import onnx
import pandas as pd
from mlflow.deployments import get_deploy_client
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

from tests.conftest import EXAMPLES
from tests.support.server_process import ServerProcess

SUM = EXAMPLES / "mlflow-deployments" / "onnx_float32_int32_int32" / "1" / "model.onnx"
# Named, or MLflow loads every model once more in a process of its own to find out.
NEEDS: dict[str, Any] = {"pip_requirements": ["mlflow"]}
COLUMNS = list("abcd")
TABLE = pd.DataFrame(np.random.default_rng(0).random((40, 4)), columns=COLUMNS)


class Totals(mlflow.pyfunc.PythonModel):
    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        return model_input.sum(axis=1)


class Moody(mlflow.pyfunc.PythonModel):
    """Loads, and then fails whatever it is asked, but for the time that it is logged."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        if os.environ.get("LOGGING") != "yes":
            raise RuntimeError("not today")
        return model_input.sum(axis=1)


def matrix(size: int, *, columns: int | None = None) -> Any:
    """y = x @ w, with weights of ``size`` by ``columns`` ones: large enough for a file of their own."""
    columns = columns or size
    weights = np.ones((size, columns), np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "matrix",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", columns])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """MLflow's registry of this session, with everything in it that the tests deploy."""
    folder = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        patch.delenv("OIP_URL", raising=False)
        patch.delenv("OIP_MODEL_REPO", raising=False)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        _log_models(patch)
        yield folder
        mlflow.set_tracking_uri(None)


def _log_models(patch: pytest.MonkeyPatch) -> None:
    labels = (TABLE.a > 0.5).astype(int)
    classifier = LogisticRegression().fit(TABLE, labels)
    mlflow.onnx.log_model(onnx.load(SUM), name="m", registered_model_name="sum", **NEEDS)
    mlflow.onnx.log_model(matrix(64), name="m", registered_model_name="matrix", **NEEDS)
    mlflow.onnx.log_model(matrix(64, columns=8), name="m", registered_model_name="matrix", **NEEDS)
    mlflow.MlflowClient().set_registered_model_alias("matrix", "champion", "2")
    mlflow.sklearn.log_model(classifier, name="m", registered_model_name="skops", **NEEDS, input_example=TABLE[:2])
    mlflow.sklearn.log_model(
        classifier,
        name="m",
        registered_model_name="pickle",
        **NEEDS,
        serialization_format="pickle",
        pyfunc_predict_fn="predict_proba",
    )
    mlflow.pyfunc.log_model(
        python_model=Totals(), name="m", registered_model_name="totals", **NEEDS, input_example=TABLE[:2]
    )
    patch.setenv("LOGGING", "yes")
    mlflow.pyfunc.log_model(
        python_model=Moody(), name="m", registered_model_name="moody", **NEEDS, input_example=TABLE[:2]
    )
    patch.delenv("LOGGING")
    broken = mlflow.onnx.log_model(matrix(4), name="m", registered_model_name="broken", **NEEDS)
    Path(mlflow.artifacts.download_artifacts(broken.model_uri), "model.onnx").write_bytes(b"no graph")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of ``server``."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def server(shared: Path, registry: Path) -> Iterator[ServerProcess]:
    with ServerProcess(shared, "--model-control-mode", "explicit") as started:
        yield started


@pytest.fixture(scope="module")
def target(server: ServerProcess) -> Callable[..., str]:
    """The server as a target: ``target(grpc=True)`` has its gRPC port too."""

    def made(*, grpc: bool = False) -> str:
        return f"oip://{server.http}" + (f"?grpc={server.grpc.rpartition(':')[2]}" if grpc else "")

    return made


@pytest.fixture
def client(target: Callable[..., str]) -> Iterator[Any]:
    """MLflow's client of the plugin; what a test deployed goes with it."""
    made = get_deploy_client(target())
    yield made
    for row in made.list_deployments():
        made.delete_deployment(row["name"])
