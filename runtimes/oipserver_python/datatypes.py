"""The names that Triton's Python backend has for datatypes, and what each is in numpy; knows no tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

# In the order of their numbers, from 1: the protocol's name, Triton's, and the numpy type (None where there is none).
_TABLE: tuple[tuple[str, str, Any], ...] = (
    ("BOOL", "TYPE_BOOL", np.bool_),
    ("UINT8", "TYPE_UINT8", np.uint8),
    ("UINT16", "TYPE_UINT16", np.uint16),
    ("UINT32", "TYPE_UINT32", np.uint32),
    ("UINT64", "TYPE_UINT64", np.uint64),
    ("INT8", "TYPE_INT8", np.int8),
    ("INT16", "TYPE_INT16", np.int16),
    ("INT32", "TYPE_INT32", np.int32),
    ("INT64", "TYPE_INT64", np.int64),
    ("FP16", "TYPE_FP16", np.float16),
    ("FP32", "TYPE_FP32", np.float32),
    ("FP64", "TYPE_FP64", np.float64),
    ("BYTES", "TYPE_STRING", np.object_),
    ("BF16", "TYPE_BF16", None),
)
_NUMBERS = {name: number for number, (name, _, _) in enumerate(_TABLE, start=1)}
_PROTOCOL_NAMES = {triton: name for name, triton, _ in _TABLE}

TRITON_STRING_TO_NUMPY: dict[str, Any] = {triton: kind for _, triton, kind in _TABLE if kind is not None}


def number_of(datatype: str) -> int:
    """The number of a datatype by its name in the protocol."""
    return _NUMBERS[datatype]


def protocol_name(triton: str) -> str:
    """The protocol's name of ``TYPE_...``. Raises KeyError for an unknown one."""
    return _PROTOCOL_NAMES[triton]


def triton_to_numpy_type(data_type: int) -> Any:
    """The numpy type of a datatype's number; None for BF16 and for numbers that mean none."""
    return _TABLE[data_type - 1][2] if 1 <= data_type <= len(_TABLE) else None


def numpy_to_triton_type(data_type: Any) -> int | None:
    """The number of a numpy type; None where there is none. Bytes of a fixed length are strings."""
    if data_type == np.bytes_:
        return _NUMBERS["BYTES"]
    return next((n for n, (_, _, kind) in enumerate(_TABLE, start=1) if kind is not None and data_type == kind), None)


def triton_string_to_numpy(triton_type_string: str) -> Any:
    """The numpy type of ``TYPE_...``. Raises KeyError for a type that numpy does not have."""
    return TRITON_STRING_TO_NUMPY[triton_type_string]
