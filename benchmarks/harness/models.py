"""Makes the ONNX models every server is given; knows no server and no wire."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

#: onnxruntime refuses models that are newer than itself, and the onnx package stamps its own newest by default.
IR_VERSION = 10
OPSET = 17

TINY_WIDTH = 16
MLP_WIDTHS = (512, 1024, 1024, 10)


def write_models(folder: Path) -> dict[str, Path]:
    """Write ``tiny``, ``identity`` and ``mlp`` into ``folder``; returns the file of each."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for graph in (_tiny(), _identity(), _mlp()):
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        path = folder / f"{graph.name}.onnx"
        onnx.save(model, str(path))
        paths[graph.name] = path
    return paths


def _value(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _tiny() -> onnx.GraphProto:
    """Sum and difference of two rows of 16 floats: next to no computing, so the server itself is what is measured."""
    shape: list[int | str] = ["n", TINY_WIDTH]
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])]
    inputs, outputs = [_value(name, shape) for name in "ab"], [_value(name, shape) for name in ("sum", "difference")]
    return helper.make_graph(nodes, "tiny", inputs, outputs)


def _identity() -> onnx.GraphProto:
    """What comes in goes out: for moving tensors."""
    return helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "identity", [_value("x", ["n"])], [_value("y", ["n"])]
    )


def _mlp() -> onnx.GraphProto:
    """Three dense layers: one row costs nearly as much as many, so batching pays."""
    random = np.random.default_rng(7)
    nodes, weights, current = [], [], "x"
    for layer, (width_in, width_out) in enumerate(itertools.pairwise(MLP_WIDTHS)):
        weight = (random.standard_normal((width_in, width_out)) / np.sqrt(width_in)).astype(np.float32)
        bias = random.standard_normal(width_out).astype(np.float32)
        weights += [numpy_helper.from_array(weight, f"w{layer}"), numpy_helper.from_array(bias, f"b{layer}")]
        last = layer == len(MLP_WIDTHS) - 2
        dense = "y" if last else f"dense{layer}"
        nodes.append(helper.make_node("Gemm", [current, f"w{layer}", f"b{layer}"], [dense]))
        if not last:
            current = f"relu{layer}"
            nodes.append(helper.make_node("Relu", [dense], [current]))
    x, y = _value("x", ["n", MLP_WIDTHS[0]]), _value("y", ["n", MLP_WIDTHS[-1]])
    return helper.make_graph(nodes, "mlp", [x], [y], initializer=weights)
