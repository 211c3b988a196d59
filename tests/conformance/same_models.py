"""The same graphs as MLServer's and as Triton's layout have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from tests.support.models import IR_VERSION, ONNX_TYPES

LAYOUTS = ("mlserver", "triton")
LABELS = ["none", "one", "two", "many"]
#: Datatypes that an ONNX graph hands through.
DATATYPES = tuple(ONNX_TYPES)
MAX_BATCH_SIZE = 8


def write_models(root: Path, layout: str) -> None:
    """Below ``root``, all in batches: ``add`` (sum and difference of two INT32 [16]), ``scores`` (FP32 [4], labelled)
    and ``text`` (BYTES [1]) handed through, and ``identity-DATATYPE`` for every datatype."""
    wide, four, one = ["n", 16], ["n", 4], ["n", 1]
    integers = TensorProto.INT32
    graphs = {
        "add": _graph(
            [("Add", ["INPUT0", "INPUT1"], "OUTPUT0"), ("Sub", ["INPUT0", "INPUT1"], "OUTPUT1")], integers, wide
        ),
        "scores": _graph([("Identity", ["x"], "y")], TensorProto.FLOAT, four),
        "text": _graph([("Identity", ["text_input"], "text_output")], TensorProto.STRING, one),
        **{
            f"identity-{name}": _graph([("Identity", ["x"], "y")], kind, ["n", "m"])
            for name, kind in ONNX_TYPES.items()
        },
    }
    for name, graph in graphs.items():
        (_write_triton if layout == "triton" else _write_mlserver)(root / name, graph)


def _graph(nodes: list[tuple[str, list[str], str]], kind: int, shape: list[Any]) -> onnx.ModelProto:
    names = dict.fromkeys(name for _, inputs, _ in nodes for name in inputs)
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, [output]) for operator, inputs, output in nodes],
        "graph",
        [helper.make_tensor_value_info(name, kind, shape) for name in names],
        [helper.make_tensor_value_info(output, kind, shape) for _, _, output in nodes],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=IR_VERSION)


def _write_mlserver(folder: Path, model: onnx.ModelProto) -> None:
    folder.mkdir()
    onnx.save(model, folder / "model.onnx")
    told: dict[str, Any] = {"name": folder.name, "implementation": "onnx", "parameters": {"uri": "model.onnx"}}
    if folder.name == "scores":
        y = {"name": "y", "datatype": "FP32", "shape": [-1, 4], "parameters": {"labels": LABELS}}
        told["outputs"] = [y]
    (folder / "model-settings.json").write_text(json.dumps(told))


def _write_triton(folder: Path, model: onnx.ModelProto) -> None:
    (folder / "1").mkdir(parents=True)
    onnx.save(model, folder / "1" / "model.onnx")
    told = [f'backend: "onnxruntime"\nmax_batch_size: {MAX_BATCH_SIZE}']
    for kind, tensors in (("input", model.graph.input), ("output", model.graph.output)):
        told += [f"{kind} [ {{ {_described(tensor, kind)} }} ]" for tensor in tensors]
    (folder / "config.pbtxt").write_text("\n".join(told) + "\n")
    if folder.name == "scores":
        (folder / "labels.txt").write_text("\n".join(LABELS) + "\n")


def _described(tensor: onnx.ValueInfoProto, kind: str) -> str:
    element = {number: name for name, number in ONNX_TYPES.items()}[tensor.type.tensor_type.elem_type]
    dims = [axis.dim_value or -1 for axis in tensor.type.tensor_type.shape.dim][1:]
    labels = (
        ' label_filename: "labels.txt"' if (kind, tensor.name, len(dims)) == ("output", "y", 1) and dims == [4] else ""
    )
    datatype = {"BYTES": "STRING"}.get(element, element)
    return f'name: "{tensor.name}" data_type: TYPE_{datatype} dims: {dims}{labels}'
