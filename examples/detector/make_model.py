"""Writes 1/model.onnx and labels.txt: a detector's signature, [1,3,640,640] to [1,8400,85], in a small graph.

It looks at the mean colour of cells of 8, 16 and 32 pixels, 8400 in all. Each row of the answer is a box (centre,
width, height, in shares of the image), how sure it is, and a score for each of the 80 labels.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

IR_VERSION = 10
OPSET = 21
SIZE, CELLS, LABELS = 640, (8, 16, 32), 80
COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "violet", "grey")
SHAPES = ("circle", "square", "triangle", "star", "heart", "arrow", "cross", "ring", "moon", "leaf")
FOLDER = Path(__file__).parent


def boxes() -> np.ndarray:
    """The cell of each row, [1, 8400, 4]."""
    rows = []
    for cell in CELLS:
        count = SIZE // cell
        for y, x in product(range(count), range(count)):
            rows.append([(x + 0.5) / count, (y + 0.5) / count, 1 / count, 1 / count])
    return np.array([rows], np.float32)


def main() -> None:
    weights = np.random.default_rng(0).normal(size=(3, 1 + LABELS)).astype(np.float32)
    constants = {"boxes": boxes(), "weights": weights, "flat": np.array([1, 3, -1], np.int64)}
    nodes = []
    for cell in CELLS:
        pooled, row = f"pooled{cell}", f"row{cell}"
        nodes.append(
            helper.make_node("AveragePool", ["images"], [pooled], kernel_shape=[cell, cell], strides=[cell, cell])
        )
        nodes.append(helper.make_node("Reshape", [pooled, "flat"], [row]))
    nodes += [
        helper.make_node("Concat", [f"row{cell}" for cell in CELLS], ["colours"], axis=2),
        helper.make_node("Transpose", ["colours"], ["rows"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["rows", "weights"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["outputs"], axis=2),
    ]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, [1, 8400, 5 + LABELS])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="oipserver examples"
    )
    onnx.checker.check_model(model, full_check=True)
    (FOLDER / "1").mkdir(exist_ok=True)
    onnx.save(model, FOLDER / "1" / "model.onnx")
    labels = [f"{colour} {shape}" for colour, shape in product(COLOURS, SHAPES)]
    (FOLDER / "labels.txt").write_text("\n".join(labels) + "\n")


if __name__ == "__main__":
    main()
