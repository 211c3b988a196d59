"""Flat JSON, a model's inputs and outputs as members of one object, to requests and from responses; knows no transport.

The form of Triton's generate extension.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import orjson

from ..errors import InternalError, InvalidArgumentError
from ..tensor import Tensor, array_to_json, shape_text
from .infer import InferRequest, InferResponse
from .members import wrong
from .metadata import ModelMetadata, TensorMetadata
from .v2_json import leaves, read_request

_OWN = frozenset({"id", "parameters"})
_NOT_TOLD = frozenset({"headers", "triton_final_response"})
_DATATYPES: tuple[tuple[type, str], ...] = ((bool, "BOOL"), (int, "INT64"), (float, "FP64"), (str, "BYTES"))


def is_v2(document: Mapping[str, Any]) -> bool:
    """Whether ``document`` is an ordinary inference request: it has a list of objects under ``inputs``."""
    inputs = document.get("inputs")
    return isinstance(inputs, list) and all(isinstance(item, dict) for item in inputs)


def read_generate(
    document: Mapping[str, Any],
    metadata: ModelMetadata,
    model_version: str = "",
    headers: Mapping[str, str] | None = None,
) -> InferRequest:
    """The request that a flat ``document`` stands for.

    Members called as inputs of the model are tensors: one value of shape [1], a list of [n], a leading dimension of the
    batch being 1. ``id`` is the request's, ``parameters`` and all other members are its parameters. Of a model that
    declares no inputs, every other member is an input, of the datatype that JSON tells. Raises InvalidArgumentError.
    """
    parameters = document.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise wrong("parameters", "an object", parameters)
    declared = {tensor.name: tensor for tensor in metadata.inputs}
    inputs: list[dict[str, Any]] = []
    rest: dict[str, Any] = {}
    for name, value in document.items():
        if name in declared:
            inputs.append(_declared(declared[name], value, metadata.name))
        elif name not in _OWN:
            told = None if declared else _undeclared(name, value)
            if told:
                inputs.append(told)
            else:
                rest[name] = value
    whole = {"id": document.get("id"), "parameters": {**rest, **(parameters or {})}, "inputs": inputs}
    return read_request(whole, metadata.name, model_version, headers)[0]


def _declared(tensor: TensorMetadata, value: object, model: str) -> dict[str, Any]:
    shape = _shape(tensor, value, model)
    if isinstance(value, list) and 1 < len(_nesting(value)) < len(shape):
        value = [value]  # the batch of one, which nested lists must have too
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(shape), "data": value}


def _shape(tensor: TensorMetadata, value: object, model: str) -> tuple[int, ...]:
    """The shape of ``value`` as the input ``tensor``; of several open dimensions the first is a batch of one."""
    shape = tensor.shape
    if -1 not in shape:
        return shape  # whoever reads the data compares
    nested = _nesting(value)
    if len(nested) > 1:
        return (1, *nested) if len(nested) == len(shape) - 1 else nested
    if shape.count(-1) > 1 and shape[0] == -1:
        shape = (1, *shape[1:])
    if shape.count(-1) > 1:
        raise InvalidArgumentError(
            f"The shape of the input '{tensor.name}' for model '{model}' can not be deduced because there are more "
            "than one variable-sized dimension: nest the lists"
        )
    count, row = sum(1 for _ in leaves(value)), prod(dim for dim in shape if dim != -1)
    if -1 in shape and (row == 0 or count % row):
        raise InvalidArgumentError(
            f"unexpected shape for input '{tensor.name}' for model '{model}'. "
            f"Expected {shape_text(tensor.shape)}, which {count} elements cannot fill"
        )
    return tuple(count // row if dim == -1 else dim for dim in shape)


def _nesting(value: object) -> tuple[int, ...]:
    """The lengths of the first lists at each level of ``value``."""
    lengths: list[int] = []
    while isinstance(value, list):
        lengths.append(len(value))
        value = value[0] if value else None
    return tuple(lengths)


def _undeclared(name: str, value: object) -> dict[str, Any] | None:
    """``value`` as an input that no metadata tell of; None for what is no tensor."""
    elements = list(leaves(value))
    for kind, datatype in _DATATYPES:
        legal = (int, float) if kind is float else (kind,)
        if elements and all(isinstance(one, legal) and (kind is bool or type(one) is not bool) for one in elements):
            return {"name": name, "datatype": datatype, "shape": list(_nesting(value)) or [1], "data": value}
    return None


def write_generate(response: InferResponse, *, nan_as_null: bool = False) -> bytes:
    """``response`` as one flat JSON object, its members in alphabetical order; outputs of one element are that element.

    NaN and infinities are literals; with ``nan_as_null`` they are null. Raises OIPError.
    """
    text = _dump(response, literals=False)
    return text if nan_as_null or b"null" not in text else _dump(response, literals=True)


def _dump(response: InferResponse, *, literals: bool) -> bytes:
    document: dict[str, Any] = {
        key: value for key, value in (response.parameters or {}).items() if key not in _NOT_TOLD
    }
    document["model_name"] = response.model_name
    if response.model_version:
        document["model_version"] = response.model_version
    if response.id:
        document["id"] = response.id
    for tensor in response.outputs:
        document[tensor.name] = _member(tensor, literals=literals)
    try:
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise InternalError(
            f"the answer of model '{response.model_name}' cannot be written as JSON: {error}"
        ) from error


def _member(tensor: Tensor, *, literals: bool) -> object:
    if prod(tensor.shape) != 1:
        return array_to_json(tensor, literals=literals)
    data: Any = array_to_json(tensor)
    one = data[0]
    if literals and isinstance(one, np.floating) and not np.isfinite(one):
        return orjson.Fragment(json.dumps(float(one)))
    return one
