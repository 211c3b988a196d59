"""Which engine runs a model: the framework alone, MLflow, or neither where MLflow's switches forbid it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oipserver import Tensor
from oipserver.errors import ModelLoadError
from oipserver.runtime.resolve import resolve_class
from oipserver.settings import ModelSettings
from tests.runtimes.hosting import Hosted

ROW = [Tensor.from_array(name, np.array([float(index)])) for index, name in enumerate("abcd")]


def hosted(folder: Path, **extra: Any) -> Hosted:
    return Hosted("mlflow", folder, parameters={"uri": str(folder), "extra": extra})


@pytest.mark.parametrize("model", ["sk_df", "sk_proba", "xgb_booster", "xgb_sklearn", "lgbm"])
def test_both_engines_are_one_model(mlflow_models: Path, model: str) -> None:
    native, pyfunc = (hosted(mlflow_models / model, engine=engine) for engine in ("native", "pyfunc"))
    assert native.face.metadata.parameters["mlflow_engine"] == "native"
    assert pyfunc.face.metadata.parameters["mlflow_engine"] == "pyfunc"
    assert native.told_inputs == pyfunc.told_inputs
    (ours,), (theirs,) = native.ask(*ROW), pyfunc.ask(*ROW)
    assert ours.name == theirs.name
    np.testing.assert_allclose(ours.array, theirs.array, rtol=1e-6)


def test_a_native_model_needs_no_mlflow(mlflow_models: Path) -> None:
    program = f"""
import asyncio, sys
sys.modules["mlflow"] = None
from oipserver.runtime import ModelHost
from oipserver.settings import ModelSettings
folder = {str(mlflow_models / "sk_df")!r}
settings = ModelSettings(name="m", implementation="mlserver_mlflow.MLflowRuntime", parameters={{"uri": folder}})
print(asyncio.run(ModelHost(settings).load()).metadata.parameters["mlflow_engine"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "native", done.stderr


@pytest.mark.parametrize(
    ("switch", "refused", "allowed"),
    [
        ("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "sk_df", "xgb_booster"),
        ("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "py_dict", "lgbm"),
        ("MLFLOW_ALLOW_MODEL_CODE_EXECUTION", "sk_nd", "xgb_sklearn"),
        ("MLFLOW_ALLOW_MODEL_CODE_EXECUTION", "py_dict", "lgbm"),
    ],
)
def test_switches_of_mlflow(
    mlflow_models: Path, monkeypatch: pytest.MonkeyPatch, switch: str, refused: str, allowed: str
) -> None:
    monkeypatch.setenv(switch, "false")
    with pytest.raises(ModelLoadError, match=switch):
        hosted(mlflow_models / refused)
    assert hosted(mlflow_models / allowed).ask(*ROW)


def test_what_cannot_be(mlflow_models: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"engine is 'native', but .* needs MLflow"):
        hosted(mlflow_models / "py_dict", engine="native")
    with pytest.raises(ModelLoadError, match="expected one of auto, native, pyfunc, got 'fast'"):
        hosted(mlflow_models / "sk_df", engine="fast")
    (tmp_path / "MLmodel").write_text("flavors: [oops")
    with pytest.raises(ModelLoadError, match="is not YAML"):
        hosted(tmp_path)
    evil = {"loader_module": "mlflow.xgboost"}
    flavors = {"python_function": evil, "xgboost": {"data": "../../secret", "model_class": "xgboost.core.Booster"}}
    (tmp_path / "MLmodel").write_text(json.dumps({"flavors": flavors}))
    with pytest.raises(ModelLoadError, match="which is not in"):
        hosted(tmp_path)


def test_code_written_for_mlservers_runtime(tmp_path: Path) -> None:
    (tmp_path / "mine_of_mlflow.py").write_text(
        "from mlserver_mlflow import MLflowRuntime\nfrom mlserver_mlflow.runtime import MLflowRuntime as Same\n"
        "assert Same is MLflowRuntime\nclass Mine(MLflowRuntime): pass\n"
    )
    settings = ModelSettings(name="m", implementation="mine_of_mlflow.Mine")
    settings._source = str(tmp_path / "model-settings.json")
    kind = resolve_class(settings)
    named = ModelSettings(name="m", implementation="mlserver_mlflow.MLflowRuntime")
    assert issubclass(kind, resolve_class(named))
