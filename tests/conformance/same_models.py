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


#: ``told`` answers with its request's parameters as JSON; ``count`` with the numbers below n, one answer each.
_MLSERVER_CODE = """
import json
import numpy as np
from oipserver import MLModel, Tensor
from oipserver.types import InferenceResponse, ResponseOutput


class Told(MLModel):
    def infer_tensors(self, inputs, outputs, parameters):
        return [Tensor.from_array("told", np.array([json.dumps(dict(parameters)).encode()], dtype=object))]


class Count(MLModel):
    async def predict_stream(self, payloads):
        async for payload in payloads:
            for number in range(payload.inputs[0].data[0]):
                output = ResponseOutput(name="i", shape=[1], datatype="INT32", data=[number])
                yield InferenceResponse(model_name=self.name, outputs=[output])
            if payload.inputs[0].data[0] < 0:
                raise ValueError("below zero")
"""
_TRITON_CODE = {
    "told": """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        told = [np.array([request.parameters().encode()], dtype=object) for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("told", array)]) for array in told]
""",
    "count": """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            n = int(pb_utils.get_input_tensor_by_name(request, "n").as_numpy()[0])
            for number in range(n):
                tensor = pb_utils.Tensor("i", np.array([number], np.int32))
                sender.send(pb_utils.InferenceResponse([tensor]))
            if n < 0:
                sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError("below zero")))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
""",
}
_TRITON_CONFIGURATION = {
    "told": """
backend: "python"
input [ { name: "x" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "told" data_type: TYPE_STRING dims: [ 1 ] } ]
""",
    "count": """
backend: "python"
model_transaction_policy { decoupled: true }
input [ { name: "n" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "i" data_type: TYPE_INT32 dims: [ 1 ] } ]
""",
}


def write_models(root: Path, layout: str) -> None:
    """Below ``root``, all in batches: ``add`` (sum and difference of two INT32 [16]), ``scores`` (FP32 [4], labelled)
    and ``text`` (BYTES [1]) handed through, and ``identity-DATATYPE`` for every datatype; without batches, in Python:
    ``told`` and ``count``."""
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
    for name, code in _TRITON_CODE.items():
        folder = root / name
        if layout == "triton":
            (folder / "1").mkdir(parents=True)
            (folder / "1" / "model.py").write_text(code)
            (folder / "config.pbtxt").write_text(_TRITON_CONFIGURATION[name])
        else:
            folder.mkdir()
            (folder / "code_of_models.py").write_text(_MLSERVER_CODE)
            told = {"name": name, "implementation": f"code_of_models.{name.capitalize()}"}
            (folder / "model-settings.json").write_text(json.dumps(told))


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
