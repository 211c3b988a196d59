"""Models of sequences as Triton's examples have them, made of ONNX graphs: one that looks at its controls alone, and
some that accumulate through implicit state."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from tests.support.models import IR_VERSION

INT32, INT64, UINT64, STRING = TensorProto.INT32, TensorProto.INT64, TensorProto.UINT64, TensorProto.STRING

_FLAG = '{{ name: "{0}" control [ {{ kind: CONTROL_SEQUENCE_{0} int32_false_true: [ 0, 1 ] }} ] }}'
_ID = '{{ name: "CORRID" control [ {{ kind: CONTROL_SEQUENCE_CORRID data_type: {0} }} ] }}'
_TENSORS = """
input [ { name: "INPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "OUTPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
"""


def write_sequence_model(root: Path, name: str = "simple_sequence", strategy: str = "direct { }") -> None:
    """OUTPUT = INPUT + START where READY, else 0; nothing is kept."""
    nodes = [
        helper.make_node("Add", ["INPUT", "START"], ["sum"]),
        helper.make_node("Mul", ["sum", "READY"], ["OUTPUT"]),
    ]
    controls = [_FLAG.format("START"), _FLAG.format("READY")]
    _write(root / name, nodes, {"INPUT": INT32, "START": INT32, "READY": INT32}, {"OUTPUT": INT32})
    _configure(root / name, controls, strategy)


def write_accumulator(
    root: Path, name: str, *, text: bool = False, more: str = "", strategy: str = "oldest { }", initial: str = ""
) -> None:
    """OUTPUT = the sum of the sequence's INPUTs so far, at its end with the correlation id added."""
    kind = STRING if text else UINT64
    nodes = [
        helper.make_node("Add", ["STATE_IN", "INPUT"], ["STATE_OUT"]),
        helper.make_node("Cast", ["CORRID"], ["id64"], to=INT64),
        helper.make_node("Cast", ["id64"], ["id"], to=INT32),
        helper.make_node("Mul", ["id", "END"], ["added"]),
        helper.make_node("Add", ["STATE_OUT", "added"], ["ended"]),
        helper.make_node("Mul", ["ended", "READY"], ["OUTPUT"]),
    ]
    inputs = {"INPUT": INT32, "STATE_IN": INT32, "CORRID": kind, "END": INT32, "READY": INT32}
    _write(root / name, nodes, inputs, {"OUTPUT": INT32, "STATE_OUT": INT32})
    controls = [*map(_FLAG.format, ("END", "READY")), _ID.format("TYPE_STRING" if text else "TYPE_UINT64")]
    state = (
        f'state [ {{ input_name: "STATE_IN" output_name: "STATE_OUT" data_type: TYPE_INT32 dims: [ 1 ] {initial} }} ]'
    )
    _configure(root / name, controls, strategy, f"{state}\n{more}")


def _write(folder: Path, nodes: list[onnx.NodeProto], inputs: dict[str, int], outputs: dict[str, int]) -> None:
    (folder / "1").mkdir(parents=True)
    graph = helper.make_graph(
        nodes,
        "sequence",
        [helper.make_tensor_value_info(name, kind, ["rows", 1]) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, kind, ["rows", 1]) for name, kind in outputs.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "1" / "model.onnx")


def _configure(folder: Path, controls: list[str], strategy: str, more: str = "") -> None:
    (folder / "config.pbtxt").write_text(
        f"""backend: "onnxruntime"
max_batch_size: 8
{_TENSORS}
sequence_batching {{
  control_input [ {", ".join(controls)} ]
  {strategy}
  {more}
}}
"""
    )
