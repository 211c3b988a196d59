"""Strings as the protocol's bytes and back, for models that do that themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from oipserver.tensor.packing import unpack_bytes

from .tensors import Tensor


def serialize_byte_tensor(input_tensor: np.ndarray[Any, Any]) -> bytes | tuple[()] | None:
    """The strings of an array, each after its length in four bytes; () for none, None for an array of numbers."""
    if input_tensor.size == 0:
        return ()
    if input_tensor.dtype.kind not in "OS":
        return None
    return bytes(Tensor("strings", input_tensor).served.raw)


def deserialize_bytes_tensor(encoded_tensor: bytes) -> np.ndarray[Any, Any]:
    """The strings that ``serialize_byte_tensor`` wrote, in one dimension. Raises OIPError where their lengths lie."""
    count = offset = 0
    while offset < len(encoded_tensor):
        offset += 4 + int.from_bytes(encoded_tensor[offset : offset + 4], "little")
        count += 1
    strings: np.ndarray[Any, Any] = unpack_bytes(memoryview(encoded_tensor), count, "strings")
    return strings
