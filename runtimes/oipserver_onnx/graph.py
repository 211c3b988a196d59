"""What an ONNX graph takes and gives, in the protocol's datatypes; runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oipserver.errors import ModelLoadError

# By onnxruntime's name: the protocol's datatype, and ONNX's number of the element type.
_ELEMENT_TYPES = {
    "tensor(bool)": ("BOOL", 9),
    "tensor(uint8)": ("UINT8", 2),
    "tensor(uint16)": ("UINT16", 4),
    "tensor(uint32)": ("UINT32", 12),
    "tensor(uint64)": ("UINT64", 13),
    "tensor(int8)": ("INT8", 3),
    "tensor(int16)": ("INT16", 5),
    "tensor(int32)": ("INT32", 6),
    "tensor(int64)": ("INT64", 7),
    "tensor(float16)": ("FP16", 10),
    "tensor(bfloat16)": ("BF16", 16),
    "tensor(float)": ("FP32", 1),
    "tensor(double)": ("FP64", 11),
    "tensor(string)": ("BYTES", 8),
}


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """One input or output. ``shape`` has -1 for dynamic axes; ``dims`` has their names, where they have one."""

    name: str
    datatype: str
    element_type: int
    shape: tuple[int, ...]
    dims: tuple[int | str | None, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """The inputs and outputs of a graph, in its order; overridable initialisers are no inputs."""

    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]

    @property
    def datatypes(self) -> frozenset[str]:
        """Every datatype that goes in or out."""
        return frozenset(tensor.datatype for tensor in (*self.inputs, *self.outputs))


def read_graph(session: Any, model: str) -> Graph:
    """The graph of an onnxruntime ``session``.

    Raises ModelLoadError naming the tensor whose type the protocol cannot carry, and how to export without it.
    """
    graph = Graph(
        _tensors(session.get_inputs(), "input", model),
        _tensors(session.get_outputs(), "output", model),
    )
    if {"BF16", "BYTES"} <= graph.datatypes:
        raise ModelLoadError(
            f"model '{model}' has tensors of BF16 and of BYTES; onnxruntime's Python interface can pass either, but "
            "not both in one call. Export the BF16 ones as FLOAT or FLOAT16 by a Cast node in the graph"
        )
    return graph


def _tensors(nodes: Sequence[Any], side: str, model: str) -> tuple[GraphTensor, ...]:
    tensors = []
    for node in nodes:
        known = _ELEMENT_TYPES.get(node.type)
        if known is None:
            raise ModelLoadError(
                f"model '{model}': {side} '{node.name}' is a {node.type}, which the Open Inference Protocol cannot "
                f"carry. {_way_out(node.type, side)}"
            )
        # onnxruntime gives an int for a fixed axis, a name or None for a dynamic one.
        dims = tuple(node.shape)
        shape = tuple(dim if isinstance(dim, int) and dim >= 0 else -1 for dim in dims)
        tensors.append(GraphTensor(node.name, *known, shape, dims))
    return tuple(tensors)


def _way_out(kind: str, side: str) -> str:
    if kind.startswith("seq(map("):
        return (
            "Classifiers of skl2onnx give this; export with "
            "convert_sklearn(..., options={'zipmap': False}) to get a plain tensor of probabilities"
        )
    if kind.startswith(("seq(", "map(", "optional(")):
        return f"Export the model with a plain tensor as this {side}"
    return f"Put a Cast node to a type the protocol has (FLOAT, FLOAT16, INT8, ...) at this {side}"
