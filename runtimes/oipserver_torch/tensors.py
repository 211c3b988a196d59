"""Tensors of the protocol to tensors of PyTorch and back, without copies on the CPU; knows no model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from oipserver import Tensor
from oipserver.errors import InternalError, InvalidArgumentError

#: The protocol's name of each of PyTorch's element types, which are told by theirs.
DATATYPES = {
    "torch.bool": "BOOL",
    "torch.uint8": "UINT8",
    "torch.uint16": "UINT16",
    "torch.uint32": "UINT32",
    "torch.uint64": "UINT64",
    "torch.int8": "INT8",
    "torch.int16": "INT16",
    "torch.int32": "INT32",
    "torch.int64": "INT64",
    "torch.float16": "FP16",
    "torch.bfloat16": "BF16",
    "torch.float32": "FP32",
    "torch.float64": "FP64",
}


def to_torch(torch: Any, tensor: Tensor, device: str) -> Any:
    """``tensor`` on ``device``; over the same memory where that is the CPU. Raises InvalidArgumentError for text."""
    if tensor.datatype == "BYTES":
        raise InvalidArgumentError(f"input '{tensor.name}' is BYTES; PyTorch models take numbers")
    array = tensor.array
    # A view into a request's body is read-only and can start at any byte, which PyTorch has no tensors for.
    if not (array.flags.writeable and array.flags.aligned and array.flags.c_contiguous):
        array = array.copy()
    if tensor.datatype == "BF16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(device)
    return torch.from_numpy(array).to(device)


def from_torch(torch: Any, name: str, value: Any, model: str) -> Tensor:
    """An output that holds ``value``: a tensor, a number or a text. Raises InternalError for anything else."""
    if isinstance(value, str):
        array = np.array([value.encode()], dtype=object)
        return Tensor(name, "BYTES", array.shape, array=array)
    if isinstance(value, (bool, int, float)):
        return Tensor.from_array(name, np.array([value]))
    if not torch.is_tensor(value):
        raise InternalError(f"model '{model}': output '{name}' is a {type(value).__name__}, which no tensor can hold")
    datatype = DATATYPES.get(str(value.dtype))
    if datatype is None:
        raise InternalError(
            f"model '{model}': output '{name}' is of {value.dtype}, which the Open Inference Protocol cannot carry"
        )
    try:
        local = value.detach().resolve_neg().cpu().contiguous()
        array = local.view(torch.int16).numpy().view(np.uint16) if datatype == "BF16" else local.numpy()
    except (RuntimeError, TypeError) as error:
        raise InternalError(f"model '{model}': output '{name}' cannot leave PyTorch: {error}") from error
    return Tensor.from_array(name, array, datatype)


def named(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The parts of what a model gave, by name.

    Keys of dictionaries and fields of named tuples are names; what has none is called ``output-0``, ``output-1``, ...
    What lies deeper has the names of both levels, ``boxes-0``. None is left out.
    """
    if isinstance(value, Mapping):
        parts = [(str(key), part) for key, part in value.items()]
    elif isinstance(value, (list, tuple)):
        fields = getattr(value, "_fields", None)
        parts = [(fields[index] if fields else str(index), part) for index, part in enumerate(value)]
        if not name and not fields:
            name = "output"
    elif value is None:
        return
    else:
        yield name or "output-0", value
        return
    for key, part in parts:
        yield from named(part, f"{name}-{key}" if name else key)
