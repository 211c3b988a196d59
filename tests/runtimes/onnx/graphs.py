"""ONNX graphs for tests, built node by node, and models loaded from them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from oipserver_onnx import OnnxModel
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from oipserver import ModelSettings

ELEMENT_TYPES = {
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

Shape = Sequence[int | str | None] | None


def value(name: str, datatype: str, shape: Shape) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, ELEMENT_TYPES[datatype], shape)


def save(
    path: Path,
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    initializers: Sequence[TensorProto] = (),
    ir_version: int = 10,
    opset: int = 21,
    domains: Sequence[str] = (),
    **saving: Any,
) -> Path:
    """Write a graph of ``nodes`` to ``path``; ``saving`` goes to ``onnx.save``."""
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(initializers))
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
    onnx.save(model, path, **saving)
    return path


def identity(path: Path, datatype: str, shape: Shape, **more: Any) -> Path:
    """``y`` = ``x``."""
    node = helper.make_node("Identity", ["x"], ["y"])
    return save(path, [node], [value("x", datatype, shape)], [value("y", datatype, shape)], **more)


def add(path: Path, shape: Shape = ("rows", 4), outputs: Sequence[str] = ("sum", "difference"), **more: Any) -> Path:
    """``sum`` = ``a`` + ``b``, ``difference`` = ``a`` - ``b``, FP32."""
    nodes = [helper.make_node(kind, ["a", "b"], [name]) for kind, name in zip(("Add", "Sub"), outputs, strict=False)]
    inputs = [value(name, "FP32", shape) for name in "ab"]
    return save(path, nodes, inputs, [value(name, "FP32", shape) for name in outputs], **more)


def dense(path: Path, rows: int, columns: int, **more: Any) -> Path:
    """``y`` = ``x`` times a matrix of ones: a model of 4 * rows * columns bytes."""
    weights = numpy_helper.from_array(np.ones((rows, columns), np.float32), "w")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    inputs, outputs = [value("x", "FP32", ["n", rows])], [value("y", "FP32", ["n", columns])]
    return save(path, [node], inputs, outputs, [weights], **more)


def make(uri: Path | str, extra: dict[str, Any] | None = None, **settings: Any) -> OnnxModel:
    """A model called ``m``, not loaded."""
    parameters = {"uri": str(uri), "extra": extra or {}}
    return OnnxModel(ModelSettings(name="m", implementation="onnx", parameters=parameters).model_copy(update=settings))


def loaded(uri: Path | str, extra: dict[str, Any] | None = None, **settings: Any) -> OnnxModel:
    """A model called ``m``, loaded."""
    model = make(uri, extra, **settings)
    assert asyncio.run(model.load()) is True
    return model
