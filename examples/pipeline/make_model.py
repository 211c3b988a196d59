"""Makes scores/model.onnx: a linear classifier of iris flowers, trained with scikit-learn."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from pipeline import MEAN, SCALE
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

flowers = load_iris()
classifier = LogisticRegression(max_iter=1000).fit((flowers.data - MEAN) / SCALE, flowers.target)
graph = helper.make_graph(
    [helper.make_node("Gemm", ["features", "weights", "bias"], ["scores"], transB=1)],
    "iris",
    [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", 4])],
    [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", 3])],
    [
        numpy_helper.from_array(classifier.coef_.astype(np.float32), "weights"),
        numpy_helper.from_array(classifier.intercept_.astype(np.float32), "bias"),
    ],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnx.checker.check_model(model)
onnx.save(model, Path(__file__).parent / "scores" / "model.onnx")
