"""Tensor data in JSON: lists (flat or nested), scalars and text, to arrays and back."""

from __future__ import annotations

import json
import struct
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import orjson

from ..errors import InvalidArgumentError
from .datatype import Datatype
from .tensor import Tensor, element_count

# A number too large for FP16 or FP32 becomes infinity, as in every other parser. Saying so with np.errstate around each
# cast would cost a fifth of a small request's parsing.
warnings.filterwarnings(
    "ignore", "overflow encountered in cast", RuntimeWarning, module=r"oipserver\.tensor\.json_data"
)

_INFERRED_KINDS = {"bool": "b", "int": "iu", "uint": "iu", "float": "iuf"}
_FLOATS = np.dtype(np.float64)
_EXACT = 2**53  # integers up to which float64 holds each one
_CODES = {  # of the struct module
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
_LEGAL: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "uint": (int,),
    "float": (int, float, type(None)),
}
_KINDS: tuple[tuple[Any, str], ...] = (
    (type(None), "null"),
    ((bool, np.bool_), "a boolean"),
    ((int, np.integer), "an integer"),
    ((float, np.floating), "a number that is no integer"),
    (str, "a string"),
    (list, "a list"),
)
_EXPECTED = {"bool": "booleans", "int": "integers", "uint": "integers of 0 or more", "float": "numbers"}


def array_from_json(data: object, datatype: Datatype, shape: tuple[int, ...], tensor: str) -> np.ndarray[Any, Any]:
    """The array of ``shape`` that parsed JSON ``data`` stands for.

    Lists may be flat or nested as the shape says; a scalar or a bare string is a tensor of one element. ``null`` is NaN
    in floating point and an error elsewhere. What is the same value is accepted: integers as floats, 2.0 as the
    integer 2, 0 and 1 as booleans; 1.7 is no integer, and text is no number.
    Raises InvalidArgumentError naming ``tensor``, what was expected and what came.
    """
    count = element_count(shape, tensor)
    if datatype.kind == "bytes":
        return _bytes_array(data, count, shape, tensor)
    values = data if isinstance(data, list) else [data]
    packed = _packed(values, datatype, count, shape)
    if packed is not None:
        return packed
    try:
        array = np.array(values)
        if array.dtype.kind == "f" and datatype.kind in ("int", "uint") and (np.abs(array) > _EXACT).any():
            # Integers on both sides of 2^63: numpy has rounded them all to floats.
            array = np.array(values, dtype=object)
    except (ValueError, OverflowError):
        raise InvalidArgumentError(
            f"unable to parse 'data' of input '{tensor}': the nested lists do not form a regular tensor "
            f"of shape {list(shape)}"
        ) from None
    if array.size != count:
        raise InvalidArgumentError(
            f"unable to parse 'data' of input '{tensor}': shape {list(shape)} needs {count} elements, got {array.size}"
        )
    if array.ndim > 1 and array.shape != shape and count:  # numpy cannot see what an empty list would have held
        raise InvalidArgumentError(
            f"unable to parse 'data' of input '{tensor}': nested as {list(array.shape)}, but 'shape' says {list(shape)}"
        )
    return _cast(array, datatype, tensor).reshape(shape)


@lru_cache(maxsize=1024)
def _packer(datatype: str, count: int) -> Callable[..., None] | None:
    """Writes ``count`` numbers as elements of ``datatype`` into a buffer; None where no such thing exists."""
    code = _CODES.get(datatype)
    return None if code is None else struct.Struct(f"<{count}{code}").pack_into


def _packed(values: list[Any], datatype: Datatype, count: int, shape: tuple[int, ...]) -> np.ndarray[Any, Any] | None:
    """The array of a flat list that is just as it should be; None where it must be looked at closely.

    Packing takes a quarter of the time that numpy needs to find out what is in a list.
    """
    if len(values) != count or not values or type(values[0]) is bool:
        return None
    pack_into = _packer(datatype.name, count)
    if pack_into is None:
        return None
    array = np.empty(shape, datatype.dtype)
    try:
        pack_into(array, 0, *values)
    except (struct.error, OverflowError):  # null, text, nested lists, fractions among integers, out of range
        return None
    return array


def _cast(array: np.ndarray[Any, Any], datatype: Datatype, tensor: str) -> np.ndarray[Any, Any]:
    """``array``, as numpy inferred it from JSON, in the dtype of ``datatype``."""
    if array.dtype == _FLOATS and datatype.kind == "float" and datatype.name != "BF16":  # nearly all there is
        return array.astype(datatype.dtype, copy=False)
    if array.dtype.kind == "O" and array.size:
        array = _from_objects(array, datatype, tensor)
    elif array.size and array.dtype.kind not in _INFERRED_KINDS[datatype.kind]:
        _check_same_values(array, datatype, tensor)
    if datatype.kind in ("int", "uint") and array.size:
        bounds = np.iinfo(datatype.dtype)
        low, high = int(array.min()), int(array.max())
        if low < bounds.min or high > bounds.max:
            raise InvalidArgumentError(
                f"unable to parse 'data' of input '{tensor}': {low if low < bounds.min else high} is out of range "
                f"for {datatype.name} ({bounds.min} to {bounds.max})"
            )
    if datatype.name == "BF16":
        return bf16_from_float32(array.astype(np.float32))
    return array.astype(datatype.dtype, copy=False)


def _check_same_values(array: np.ndarray[Any, Any], datatype: Datatype, tensor: str) -> None:
    """Whether each number of another kind is one of ``datatype`` too: 2.0 an integer, 0 and 1 booleans."""
    if array.dtype.kind == "f" and datatype.kind in ("int", "uint"):
        # In a list that mixes both, numpy has rounded integers beyond 2^53.
        same = (array == np.trunc(array)) & (np.abs(array) <= _EXACT)
    elif array.dtype.kind in "iu" and datatype.kind == "bool":
        same = (array == 0) | (array == 1)
    else:
        raise _wrong_kind(datatype, tensor, array.ravel()[0])
    if not same.all():
        raise _wrong_kind(datatype, tensor, array[~same][0])


def _from_objects(array: np.ndarray[Any, Any], datatype: Datatype, tensor: str) -> np.ndarray[Any, Any]:
    """Numbers numpy kept as objects: nulls among floats, or integers beyond 64 bits."""
    legal = _LEGAL[datatype.kind]
    for element in array.ravel():
        if not isinstance(element, legal) or (isinstance(element, bool) and datatype.kind != "bool"):
            raise _wrong_kind(datatype, tensor, element)
    return array.astype(np.float64) if datatype.kind == "float" else array


def _wrong_kind(datatype: Datatype, tensor: str, element: object) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"unable to parse 'data' of input '{tensor}': {datatype.name} takes {_EXPECTED[datatype.kind]}, "
        f"got {_came(element)}"
    )


def _came(element: object) -> str:
    """What ``element`` is, in JSON's words; numpy may have made it its own."""
    for kinds, name in _KINDS:
        if isinstance(element, kinds):
            return name
    return "an object"


def _bytes_array(data: object, count: int, shape: tuple[int, ...], tensor: str) -> np.ndarray[Any, Any]:
    # The shape is the caller's word: nothing of its size is allocated before the elements have been counted.
    elements: list[bytes] = []
    pending: list[object] = [data]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(reversed(item))
            continue
        if not isinstance(item, str):
            raise InvalidArgumentError(
                f"unable to parse 'data' of input '{tensor}': BYTES takes strings, got {_came(item)}"
            )
        try:
            elements.append(item.encode())
        except UnicodeEncodeError:
            raise InvalidArgumentError(
                f"unable to parse 'data' of input '{tensor}': a string holds half of a surrogate pair"
            ) from None
    if len(elements) != count:
        raise InvalidArgumentError(
            f"unable to parse 'data' of input '{tensor}': shape {list(shape)} needs {count} elements, "
            f"got {len(elements)}"
        )
    array = np.empty(count, dtype=object)
    array[:] = elements
    return array.reshape(shape)


def array_to_json(tensor: Tensor, *, literals: bool = False) -> object:
    """The flat ``data`` of ``tensor`` as something orjson (with OPT_SERIALIZE_NUMPY) writes without a list of floats.

    orjson writes NaN and infinities as null; with ``literals`` they become NaN, Infinity and -Infinity. BYTES must be
    UTF-8: InvalidArgumentError says how to ask for binary data instead.
    """
    array = tensor.array
    if tensor.datatype == "BYTES":
        return _text_list(array, tensor.name)
    flat = array.ravel()  # contiguous, and a copy only where that needs one
    if tensor.datatype == "BF16":
        flat = float32_from_bf16(flat)
    if not flat.dtype.isnative:
        flat = flat.astype(flat.dtype.newbyteorder("="))
    if literals and flat.dtype.kind == "f" and not np.isfinite(flat).all():
        return orjson.Fragment(json.dumps(flat.tolist(), separators=(",", ":")))
    return flat


def _text_list(array: np.ndarray[Any, Any], tensor: str) -> list[str]:
    try:
        return [
            element.decode() if isinstance(element, (bytes, bytearray)) else "" if element is None else str(element)
            for element in array.ravel().tolist()
        ]
    except UnicodeDecodeError:
        raise InvalidArgumentError(
            f"output '{tensor}' holds bytes that are not UTF-8 text and cannot be sent as JSON; "
            'ask for it as binary data: "parameters": {"binary_data": true}'
        ) from None


def bf16_from_float32(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The upper halves of float32 values, rounded to nearest even; NaN stays NaN."""
    bits = np.ascontiguousarray(array, dtype="<f4").view("<u4")
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    quiet = (bits >> np.uint32(16)) | np.uint32(0x0040)
    result: np.ndarray[Any, Any] = np.where(np.isnan(array), quiet, rounded).astype("<u2")
    return result


def float32_from_bf16(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """float32 values whose upper halves are the uint16 elements of ``array``."""
    widened: np.ndarray[Any, Any] = (array.astype("<u4") << np.uint32(16)).view("<f4")
    return widened
