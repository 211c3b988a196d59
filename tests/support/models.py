"""Small real models, written where a test wants them."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

IR_VERSION = 10  # what every onnxruntime of the last years reads

ONNX_TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "BF16": TensorProto.BFLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


def write_identity_model(folder: Path, datatype: str, rank: int) -> None:
    """``folder/model.onnx``: output y is input x, of ``rank`` dynamic dimensions."""
    folder.mkdir(parents=True)
    kind = ONNX_TYPES[datatype]
    shape = [f"d{index}" for index in range(rank)]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=IR_VERSION)
    onnx.save(model, folder / "model.onnx")
