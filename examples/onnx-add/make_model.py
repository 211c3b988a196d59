"""Writes model.onnx: two inputs, their sum and their difference, element by element."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

# The newest onnx package stamps an IR version that onnxruntime may not read yet; nothing here needs more than this.
IR_VERSION = 10
OPSET = 21


def main() -> None:
    shape = ["rows", 16]
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])],
        "add",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("a", "b")],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("sum", "difference")],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="oipserver examples"
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, Path(__file__).parent / "model.onnx")


if __name__ == "__main__":
    main()
