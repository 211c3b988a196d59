"""Small ONNX models in Triton's layout, and configurations of ensembles over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.models import IR_VERSION

FLOAT = TensorProto.FLOAT
_OPERATIONS = {"double": ("Mul", 2.0), "increment": ("Add", 1.0), "negate": ("Mul", -1.0)}


def write_step_model(root: Path, kind: str, name: str = "") -> None:
    """``double``, ``increment`` or ``negate``: y from x, FP32 rows of four."""
    operation, constant = _OPERATIONS[kind]
    node = helper.make_node(operation, ["x", "c"], ["y"])
    _save(root / (name or kind), [node], ["x"], np.float32(constant))


def write_sum_model(root: Path, name: str = "sum") -> None:
    """y = a + b, FP32 rows of four."""
    _save(root / name, [helper.make_node("Add", ["a", "b"], ["y"])], ["a", "b"])


def _save(folder: Path, nodes: Sequence[onnx.NodeProto], inputs: Sequence[str], constant: Any = None) -> None:
    (folder / "1").mkdir(parents=True)
    constants = [] if constant is None else [numpy_helper.from_array(np.array(constant), "c")]
    graph = helper.make_graph(
        list(nodes),
        "step",
        [helper.make_tensor_value_info(name, FLOAT, ["rows", 4]) for name in inputs],
        [helper.make_tensor_value_info("y", FLOAT, ["rows", 4])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "1" / "model.onnx")
    (folder / "config.pbtxt").write_text('backend: "onnxruntime"\nmax_batch_size: 8\n')


def write_ensemble(
    root: Path,
    name: str,
    steps: Sequence[tuple[str, Mapping[str, str], Mapping[str, str]]],
    *,
    inputs: Sequence[str] = ("IN",),
    outputs: Sequence[str] = ("OUT",),
    max_batch_size: int = 8,
    dims: str = "4",
    datatype: str = "TYPE_FP32",
) -> None:
    """An ensemble of ``steps``: a model, its inputs and its outputs, each to the ensemble's tensors."""
    (root / name / "1").mkdir(parents=True)
    (root / name / "config.pbtxt").write_text(
        f"""platform: "ensemble"
max_batch_size: {max_batch_size}
input [ {_tensors(inputs, datatype, dims)} ]
output [ {_tensors(outputs, datatype, dims)} ]
ensemble_scheduling {{ step [ {", ".join(_step(*step) for step in steps)} ] }}
"""
    )


def _tensors(names: Sequence[str], datatype: str, dims: str) -> str:
    return ", ".join(f'{{ name: "{name}" data_type: {datatype} dims: [ {dims} ] }}' for name in names)


def _step(model: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> str:
    maps = [*(("input_map", pair) for pair in inputs.items()), *(("output_map", pair) for pair in outputs.items())]
    told = " ".join(f'{side} {{ key: "{theirs}" value: "{ours}" }}' for side, (theirs, ours) in maps)
    return f'{{ model_name: "{model}" model_version: -1 {told} }}'


#: (x * 2 + 1) * -1
CHAIN = [
    ("double", {"x": "IN"}, {"y": "doubled"}),
    ("increment", {"x": "doubled"}, {"y": "incremented"}),
    ("negate", {"x": "incremented"}, {"y": "OUT"}),
]
#: x * 2 + (x + 1), both summands side by side; the steps are not in order
DIAMOND = [
    ("sum", {"a": "doubled", "b": "incremented"}, {"y": "OUT"}),
    ("double", {"x": "IN"}, {"y": "doubled"}),
    ("increment", {"x": "IN"}, {"y": "incremented"}),
]
