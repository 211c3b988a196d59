"""Saves the MLflow models that the tests serve, each in a folder of its name, and what MLflow itself answers for them.

Run as a program: MLflow pickles classes of a program with their code, of a module by its name.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import lightgbm
import mlflow
import numpy as np
import pandas as pd
import xgboost
from mlflow.models import infer_signature
from mlflow.models.signature import ModelSignature
from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

#: Else MLflow would load each model in a process of its own to see what it imports.
NEEDS: Any = {"pip_requirements": ["mlflow"]}
TYPES = ["sklearn._loss.link.LogitLink"]
NAMES = ["a", "b", "c", "d"]
random = np.random.default_rng(0)
ARRAY = random.normal(size=(40, 4))
TABLE = pd.DataFrame(ARRAY, columns=NAMES)
LABELS = (ARRAY[:, 0] > 0).astype(np.int64)


class SumAndNumber(mlflow.pyfunc.PythonModel):
    """Answers with a dictionary whose lengths differ, and has a parameter."""

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> dict[str, Any]:
        factor = (params or {}).get("k", 1.0)
        rows = np.asarray(model_input)
        return {"sum": rows.sum(axis=1) * factor, "n": np.array([len(rows)])}


class Shout(mlflow.pyfunc.PythonModel):
    """Takes a list of texts, as its type hint says."""

    def predict(self, model_input: list[str]) -> list[str]:
        return [text.upper() for text in model_input]


class Describe(mlflow.pyfunc.PythonModel):
    """Takes columns of every type, and answers with a table of text, numbers and objects."""

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        told = [f"{row.text} {row.data!r} {row.when:%Y-%m-%d} {sum(row.many)}" for row in model_input.itertuples()]
        return pd.DataFrame({"told": told, "size": [len(text) for text in told], "seen": [{"is": t} for t in told]})


def sklearn_models(root: Path) -> None:
    on_table = LogisticRegression().fit(TABLE, LABELS)
    on_array = LogisticRegression().fit(ARRAY, LABELS)
    columns = infer_signature(TABLE, on_table.predict(TABLE))
    save = mlflow.sklearn.save_model
    save(on_table, root / "sk_df", signature=columns, input_example=TABLE.head(2), skops_trusted_types=TYPES, **NEEDS)
    save(on_array, root / "sk_nd", signature=infer_signature(ARRAY), serialization_format="cloudpickle", **NEEDS)
    save(on_array, root / "sk_nosig", serialization_format="cloudpickle", **NEEDS)
    proba = infer_signature(TABLE, on_table.predict_proba(TABLE))
    options = {"pyfunc_predict_fn": "predict_proba", "serialization_format": "cloudpickle"}
    save(on_table, root / "sk_proba", signature=proba, **options, **NEEDS)


def boosters(root: Path) -> None:
    signature = infer_signature(TABLE, LABELS)
    trained = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(TABLE, LABELS), num_boost_round=3)
    mlflow.xgboost.save_model(trained, root / "xgb_booster", signature=signature, input_example=TABLE.head(2), **NEEDS)
    classifier = xgboost.XGBClassifier(n_estimators=3).fit(TABLE, LABELS)
    mlflow.xgboost.save_model(classifier, root / "xgb_sklearn", signature=signature, **NEEDS)
    data = lightgbm.Dataset(TABLE, LABELS)
    booster = lightgbm.train({"objective": "binary", "verbose": -1}, data, num_boost_round=3)
    mlflow.lightgbm.save_model(booster, root / "lgbm", signature=signature, **NEEDS)


def python_models(root: Path) -> None:
    params = ParamSchema([ParamSpec("k", "double", 2.0)])
    tensors = ModelSignature(Schema([TensorSpec(np.dtype("float64"), (-1, 4))]), params=params)
    mlflow.pyfunc.save_model(root / "py_dict", python_model=SumAndNumber(), signature=tensors, **NEEDS)
    mlflow.pyfunc.save_model(root / "py_hint", python_model=Shout(), input_example=["one", "two"], **NEEDS)
    row = {"text": "t", "data": b"\x00\xff", "when": pd.Timestamp("2026-01-02"), "many": [1, 2]}
    signature = infer_signature(pd.DataFrame([row]))
    mlflow.pyfunc.save_model(root / "py_types", python_model=Describe(), signature=signature, **NEEDS)


def onnx_models(root: Path) -> None:
    names, rows = ["x0", "x1"], ["n", 4]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, rows) for name in names]
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, rows)
    graph = helper.make_graph([helper.make_node("Add", names, ["y"])], "two", inputs, [y])
    opsets = [helper.make_opsetid("", 17)]
    mlflow.onnx.save_model(helper.make_model(graph, opset_imports=opsets, ir_version=9), root / "onnx_two", **NEEDS)
    weights = numpy_helper.from_array(random.normal(size=(4, 300)).astype(np.float32), "w")
    wide = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 300])
    graph = helper.make_graph([helper.make_node("MatMul", ["x0", "w"], ["y"])], "one", inputs[:1], [wide], [weights])
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    example = ARRAY.astype(np.float32)
    mlflow.onnx.save_model(model, root / "onnx_external", signature=infer_signature(example), **NEEDS)


def torch_models(root: Path) -> None:
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.ReLU())
    example = ARRAY.astype(np.float32)
    signature = infer_signature(example)
    mlflow.pytorch.save_model(model, root / "torch_pt2", signature=signature, input_example=example[:2], **NEEDS)
    mlflow.pytorch.save_model(model, root / "torch_pickle", signature=signature, serialization_format="pickle", **NEEDS)


def expected(root: Path) -> dict[str, Any]:
    """What each model gives for its first rows, loaded and asked by MLflow."""
    rows = TABLE.head(3)
    asked: dict[str, Any] = dict.fromkeys(("sk_df", "sk_proba", "xgb_booster", "xgb_sklearn", "lgbm"), rows)
    asked |= dict.fromkeys(("sk_nd", "sk_nosig", "py_dict"), ARRAY[:3]) | {"py_hint": ["one", "two"]}
    asked |= dict.fromkeys(("onnx_external", "torch_pt2", "torch_pickle"), ARRAY[:3].astype(np.float32))
    asked["onnx_two"] = {name: ARRAY[:3].astype(np.float32) for name in ("x0", "x1")}
    found = {}
    for name, data in asked.items():
        if (root / name).is_dir():
            answer = mlflow.pyfunc.load_model(str(root / name)).predict(data)
            by_name = answer if isinstance(answer, dict) else {"output-0": answer}
            found[name] = {key: np.asarray(value).tolist() for key, value in by_name.items()}
    return {"rows": ARRAY[:3].tolist(), "answers": found}


def main() -> None:
    root = Path(sys.argv[1])
    sklearn_models(root)
    boosters(root)
    python_models(root)
    onnx_models(root)
    if "--torch" in sys.argv[2:]:
        torch_models(root)
    Path(sys.argv[1] + ".json").write_text(json.dumps(expected(root)))


if __name__ == "__main__":
    main()
