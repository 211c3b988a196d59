"""The datatypes of the Open Inference Protocol and what each is in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import InvalidArgumentError

Kind = Literal["bool", "int", "uint", "float", "bytes"]


@dataclass(frozen=True, slots=True)
class Datatype:
    """One datatype of the protocol.

    ``dtype`` is little-endian whatever the machine. BF16 has no numpy type: its arrays are ``uint16`` holding the upper
    half of a float32. BYTES arrays are ``object`` arrays of ``bytes``; ``itemsize`` is 0 for it, since every element
    has a length of its own.
    """

    name: str
    kind: Kind
    dtype: np.dtype[Any]
    itemsize: int


def _datatype(name: str, kind: Kind, code: str, itemsize: int) -> Datatype:
    return Datatype(name, kind, np.dtype(code), itemsize)


DATATYPES: dict[str, Datatype] = {
    datatype.name: datatype
    for datatype in (
        _datatype("BOOL", "bool", "?", 1),
        _datatype("UINT8", "uint", "u1", 1),
        _datatype("UINT16", "uint", "<u2", 2),
        _datatype("UINT32", "uint", "<u4", 4),
        _datatype("UINT64", "uint", "<u8", 8),
        _datatype("INT8", "int", "i1", 1),
        _datatype("INT16", "int", "<i2", 2),
        _datatype("INT32", "int", "<i4", 4),
        _datatype("INT64", "int", "<i8", 8),
        _datatype("FP16", "float", "<f2", 2),
        _datatype("BF16", "float", "<u2", 2),
        _datatype("FP32", "float", "<f4", 4),
        _datatype("FP64", "float", "<f8", 8),
        _datatype("BYTES", "bytes", "O", 0),
    )
}

# BF16 shares uint16 with UINT16: an array alone never means BF16, so it is left out here.
_BY_DTYPE: dict[np.dtype[Any], Datatype] = {
    datatype.dtype: datatype for datatype in DATATYPES.values() if datatype.name != "BF16"
}


def lookup_datatype(name: object, tensor: str) -> Datatype:
    """The datatype called ``name``.

    Raises InvalidArgumentError naming ``tensor`` and the legal names.
    """
    datatype = DATATYPES.get(name) if isinstance(name, str) else None
    if datatype is None:
        raise InvalidArgumentError(
            f"invalid datatype for input {tensor}: got {name!r}, expected one of {', '.join(DATATYPES)}"
        )
    return datatype


def datatype_of(array: np.ndarray[Any, Any]) -> Datatype:
    """The datatype that carries ``array``; strings of any width are BYTES.

    Raises InvalidArgumentError for what the protocol cannot carry (complex numbers, dates, records).
    """
    datatype = _BY_DTYPE.get(array.dtype)
    if datatype is not None:
        return datatype
    if array.dtype.kind in "SU":
        return DATATYPES["BYTES"]
    swapped = array.dtype.newbyteorder("<")
    datatype = _BY_DTYPE.get(swapped)
    if datatype is None:
        raise InvalidArgumentError(f"an array of dtype {array.dtype} has no datatype in the Open Inference Protocol")
    return datatype
