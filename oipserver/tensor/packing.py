"""BYTES elements on a binary wire: each one a little-endian uint32 length and that many bytes.

Source of the format: the Open Inference Protocol's "raw" representation of BYTES, which Triton's binary tensor data
shares.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import InvalidArgumentError

_LENGTH = struct.Struct("<I")
_LENGTH_SIZE = _LENGTH.size


def as_bytes(element: object) -> bytes:
    """One BYTES element as bytes; text becomes UTF-8, None the empty string, anything else its text form."""
    if isinstance(element, bytes):
        return element
    if isinstance(element, str):
        return element.encode()
    if isinstance(element, (bytearray, memoryview)):
        return bytes(element)
    if element is None:
        return b""
    return str(element).encode()


def counts_characters(shape: tuple[int, ...], data: object) -> bool:
    """Whether ``data`` is one text and ``shape`` is its length: how clients of MLServer send a text, which is one
    element however long it is."""
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if len(shape) != 1 or shape[0] == 1 or not isinstance(data, (str, bytes)):
        return False
    return shape[0] == len(data) or (isinstance(data, str) and shape[0] == len(data.encode(errors="replace")))


def pack_bytes(array: np.ndarray[Any, Any]) -> bytes:
    """Pack an array of bytes or text, in row-major order."""
    parts: list[bytes] = []
    pack = _LENGTH.pack
    elements: Iterable[object] = array.ravel().tolist()
    for element in elements:
        value = element if isinstance(element, bytes) else as_bytes(element)
        parts.append(pack(len(value)))
        parts.append(value)
    return b"".join(parts)


def packed_size(array: np.ndarray[Any, Any]) -> int:
    """Bytes that ``pack_bytes`` would return."""
    return sum(len(as_bytes(element)) + _LENGTH_SIZE for element in array.ravel().tolist())


def unpack_bytes(buffer: memoryview | bytes, count: int, tensor: str) -> np.ndarray[Any, Any]:
    """Unpack exactly ``count`` elements into a flat object array of bytes.

    Lengths are checked against what is there before anything is copied.
    Raises InvalidArgumentError naming ``tensor`` where a length lies or the count differs.
    """
    view = memoryview(buffer).cast("B")
    size = view.nbytes
    if count * _LENGTH_SIZE > size:
        raise InvalidArgumentError(
            f"expected {count} string elements for inference input '{tensor}', got {size} bytes, too few to hold them"
        )
    array = np.empty(count, dtype=object)
    offset = 0
    unpack = _LENGTH.unpack_from
    for index in range(count):
        if offset + _LENGTH_SIZE > size:
            raise InvalidArgumentError(f"expected {count} string elements for inference input '{tensor}', got {index}")
        (length,) = unpack(view, offset)
        offset += _LENGTH_SIZE
        end = offset + length
        if end > size:
            raise InvalidArgumentError(
                f"incomplete string data for inference input '{tensor}', expecting string of length {length} "
                f"but only {size - offset} bytes available"
            )
        array[index] = bytes(view[offset:end])
        offset = end
    if offset != size:
        raise InvalidArgumentError(
            f"unexpected number of string elements for inference input '{tensor}': expected {count} elements, "
            f"{size - offset} bytes are left over"
        )
    return array


def check_packed(buffer: memoryview | bytes, count: int, tensor: str) -> None:
    """Raises what ``unpack_bytes`` would, at a third of its cost."""
    view = memoryview(buffer).cast("B")
    unpack = _LENGTH.unpack_from
    offset = 0
    try:
        for _ in range(count):
            offset += _LENGTH_SIZE + unpack(view, offset)[0]
    except struct.error:  # behind the end
        pass
    else:
        if offset == view.nbytes:
            return
    unpack_bytes(view, count, tensor)
