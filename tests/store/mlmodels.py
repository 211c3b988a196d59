"""MLflow models written by hand, as MLflow writes them: for tests that need none."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from sklearn.linear_model import LinearRegression

SKLEARN = """\
flavors:
  python_function:
    env: {{conda: conda.yaml, virtualenv: python_env.yaml}}
    loader_module: mlflow.sklearn
    model_path: model.pkl
    predict_fn: predict
    python_version: 3.11.7
  sklearn:
    code: null
    pickled_model: model.pkl
    serialization_format: pickle
    sklearn_version: 1.9.1
mlflow_version: 3.17.2
model_uuid: 0e4425ecbf3e4672ba0c1741651bb47a
{signature}utc_time_created: '2026-11-21 11:52:03.427557'
"""

SIGNATURE = """\
signature:
  inputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]'
  params: null
"""

ONNX = """\
flavors:
  onnx:
    code: null
    data: model.onnx
    onnx_session_options: {intra_op_num_threads: 1}
    onnx_version: 1.23.2
    providers: [CUDAExecutionProvider, CPUExecutionProvider]
  python_function:
    data: model.onnx
    loader_module: mlflow.onnx
    python_version: 3.11.7
mlflow_version: 3.17.2
"""


def save_sklearn(folder: Path, slope: float = 1.0, *, signature: bool = True) -> Path:
    """A regression that adds its two columns, times ``slope``."""
    folder.mkdir(parents=True)
    table = np.array([[1.0, 1.0], [1.0, 2.0], [2.0, 2.0], [2.0, 3.0]])
    regression = LinearRegression().fit(table, slope * table.sum(axis=1))
    (folder / "model.pkl").write_bytes(pickle.dumps(regression))
    (folder / "MLmodel").write_text(SKLEARN.format(signature=SIGNATURE if signature else ""))
    (folder / "requirements.txt").write_text("scikit-learn\n")
    return folder


def save_onnx(folder: Path) -> Path:
    """A model that adds ``a`` and ``b``, FP32 of four columns."""
    folder.mkdir(parents=True)
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 4]) for name in "ab"]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 4])
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["y"])], "add", inputs, [output])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), folder / "model.onnx"
    )
    (folder / "MLmodel").write_text(ONNX)
    return folder
