"""Writes onnx_float32_int32_int32: two FP32 inputs [-1, 16], their sum and their difference as INT32."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

NAME = "onnx_float32_int32_int32"
# The newest onnx package stamps an IR version that onnxruntime may not read yet; nothing here needs more than this.
IR_VERSION = 10
OPSET = 21


def main() -> None:
    shape = ["rows", 16]
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["INPUT0", "INPUT1"], ["sum"]),
            helper.make_node("Sub", ["INPUT0", "INPUT1"], ["difference"]),
            helper.make_node("Cast", ["sum"], ["OUTPUT0"], to=TensorProto.INT32),
            helper.make_node("Cast", ["difference"], ["OUTPUT1"], to=TensorProto.INT32),
        ],
        NAME,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("INPUT0", "INPUT1")],
        [helper.make_tensor_value_info(name, TensorProto.INT32, shape) for name in ("OUTPUT0", "OUTPUT1")],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="oipserver examples"
    )
    onnx.checker.check_model(model, full_check=True)
    folder = Path(__file__).parent / NAME / "1"
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")


if __name__ == "__main__":
    main()
