"""The classification extension: the highest elements of an output as text, in place of the tensor; knows no wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from ...errors import InvalidArgumentError
from ...protocol import InferResponse
from ...runtime import ModelFace
from ...settings import ModelSettings
from ...tensor import DATATYPES, Tensor
from ...tensor.json_data import float32_from_bf16

MAX_ELEMENTS = 1_000_000
_LABELS = "labels"


def classify(
    response: InferResponse, classes: Mapping[str, int], face: ModelFace, settings: ModelSettings
) -> InferResponse:
    """``response`` with every output that ``classes`` names replaced by its that many highest elements.

    A replaced output is BYTES of shape [k], or [rows, k] where the model batches; each element is
    ``<value>:<index>[:<label>]``, in descending order of the values. k is at most the number of elements. Raises
    InvalidArgumentError for outputs that are no numbers.
    """
    response.outputs = [
        _classified(tensor, wanted, _batched(tensor, face, settings), _labels(tensor.name, face))
        if (wanted := classes.get(tensor.name))
        else tensor
        for tensor in response.outputs
    ]
    return response


def _batched(tensor: Tensor, face: ModelFace, settings: ModelSettings) -> bool:
    """Whether the first dimension of ``tensor`` is the batch's: as the configuration says, else as the metadata do."""
    if not tensor.shape:
        return False
    if settings.configuration is not None:
        return bool(settings.configuration.get("max_batch_size"))
    declared = next((output.shape for output in face.metadata.outputs if output.name == tensor.name), tensor.shape)
    return len(tensor.shape) > 1 and (declared is tensor.shape or declared[:1] == (-1,))


def _labels(output: str, face: ModelFace) -> Sequence[str]:
    """The names of an output's elements: from its label file, or the parameter ``labels`` of its metadata."""
    found = face.details.get(_LABELS, {}).get(output)
    if found is None:
        declared = next((tensor.parameters for tensor in face.metadata.outputs if tensor.name == output), None)
        found = (declared or {}).get(_LABELS)
    return found if isinstance(found, (list, tuple)) else ()


def _classified(tensor: Tensor, wanted: int, batched: bool, labels: Sequence[str]) -> Tensor:
    datatype = DATATYPES[tensor.datatype]
    if datatype.kind in ("bytes", "bool"):
        raise InvalidArgumentError(
            f"class result not available for output due to unsupported type '{tensor.datatype}' (output "
            f"'{tensor.name}')"
        )
    array = float32_from_bf16(tensor.array) if tensor.datatype == "BF16" else tensor.array
    height = tensor.shape[0] if batched else 1
    width = prod(tensor.shape[1:]) if batched else array.size
    rows, count = array.reshape(height, width), min(wanted, width)
    if height * count > MAX_ELEMENTS:
        raise InvalidArgumentError(
            f"classification output tensor too large: output '{tensor.name}' would have {height * count} elements, "
            f"at most {MAX_ELEMENTS} are allowed"
        )
    written = "{:f}:{}" if datatype.kind == "float" else "{}:{}"
    shape = (height, count) if batched else (count,)
    result = np.empty(height * count, dtype=object)
    if count:
        result[:] = [text for row in rows for text in _row(row, count, written, labels)]
    return Tensor(tensor.name, "BYTES", shape, array=result.reshape(shape), parameters=tensor.parameters, text=True)


def _row(row: np.ndarray[Any, Any], count: int, written: str, labels: Sequence[str]) -> list[bytes]:
    order = _highest(row, count)
    values = row[order].tolist()
    return [
        (written.format(value, index) + (f":{labels[index]}" if index < len(labels) else "")).encode()
        for value, index in zip(values, order.tolist(), strict=True)
    ]


def _highest(row: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """Where the ``count`` highest elements are, highest first; of equal ones the first come first, NaN last."""
    if row.dtype.kind == "f":
        row = np.where(np.isnan(row), -np.inf, row)
    least = np.partition(row, row.size - count)[row.size - count]
    above = np.flatnonzero(row > least)
    chosen = np.concatenate([above, np.flatnonzero(row == least)[: count - above.size]])
    backwards = np.sort(chosen)[::-1]  # a stable ascending sort of these, read backwards, keeps equal ones in order
    return backwards[np.argsort(row[backwards], kind="stable")][::-1]
