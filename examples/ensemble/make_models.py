"""Writes the three models of the ensemble: measurements are scaled, classified, and the class gets its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

# The newest onnx package stamps an IR version that onnxruntime may not read yet; nothing here needs more than this.
IR_VERSION = 10
OPSET = 17
HERE = Path(__file__).parent
FLOAT, STRING = TensorProto.FLOAT, TensorProto.STRING


def save(
    name: str,
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, tuple[int, int]],
    outputs: Mapping[str, tuple[int, int]],
    constants: Mapping[str, Any],
) -> None:
    """Write ``name/1/model.onnx``; ``inputs`` and ``outputs`` tell type and width of a row."""

    def described(tensors: Mapping[str, tuple[int, int]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(key, kind, ["rows", width]) for key, (kind, width) in tensors.items()]

    weights = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    graph = helper.make_graph(list(nodes), name, described(inputs), described(outputs), weights)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="oipserver examples"
    )
    onnx.checker.check_model(model, full_check=True)
    folder = HERE / name / "1"
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")


def main() -> None:
    iris = load_iris()
    scaler = StandardScaler().fit(iris.data)
    classifier = LogisticRegression().fit(scaler.transform(iris.data), iris.target)
    save(
        "flower-scale",
        [
            helper.make_node("Sub", ["raw", "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "width"], ["scaled"]),
        ],
        {"raw": (FLOAT, 4)},
        {"scaled": (FLOAT, 4)},
        {"mean": scaler.mean_.astype(np.float32), "width": scaler.scale_.astype(np.float32)},
    )
    save(
        "flower-classify",
        [
            helper.make_node("Gemm", ["features", "coefficients", "intercept"], ["scores"], transB=1),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=-1),
        ],
        {"features": (FLOAT, 4)},
        {"probabilities": (FLOAT, 3)},
        {
            "coefficients": classifier.coef_.astype(np.float32),
            "intercept": classifier.intercept_.astype(np.float32),
        },
    )
    save(
        "flower-name",
        [
            helper.make_node("ArgMax", ["likely"], ["best"], axis=-1, keepdims=1),
            helper.make_node("Gather", ["names", "best"], ["name"]),
        ],
        {"likely": (FLOAT, 3)},
        {"name": (STRING, 1)},
        {"names": np.array(iris.target_names, dtype=object)},
    )


if __name__ == "__main__":
    main()
