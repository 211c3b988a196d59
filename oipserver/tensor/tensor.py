"""Tensor: named data that stays as it came (wire bytes or array) until the other form is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..errors import InvalidArgumentError
from .datatype import DATATYPES, Datatype, datatype_of
from .packing import pack_bytes, unpack_bytes

Parameter = bool | int | float | str
Parameters = dict[str, Parameter]
Buffer = bytes | bytearray | memoryview

MAX_RANK = 64  # numpy's own limit since 2.0 (32 before): a longer shape cannot become an array
_MAX_ELEMENTS = 2**58  # of eight bytes each, numpy can address no more; it counts dimensions of 0 as 1 for that


def shape_text(shape: Sequence[int]) -> str:
    """A shape as messages have it, which clients compare: ``[-1,16]``."""
    return f"[{','.join(map(str, shape))}]"


def element_count(shape: Sequence[int], tensor: str) -> int:
    """The number of elements of ``shape``.

    Raises InvalidArgumentError naming ``tensor`` for negative dimensions, too many of them, or an overflowing product.
    """
    if len(shape) > MAX_RANK:
        raise InvalidArgumentError(f"input '{tensor}' has {len(shape)} dimensions, at most {MAX_RANK} are possible")
    count = 1
    for dim in shape:
        if dim < 0:
            raise InvalidArgumentError(f"input '{tensor}' has shape {list(shape)}: every dimension must be 0 or more")
        count *= dim
    if count > _MAX_ELEMENTS or (count == 0 and prod(dim for dim in shape if dim) > _MAX_ELEMENTS):
        raise InvalidArgumentError(
            f"shape {list(shape)} of input '{tensor}' causes total element count to exceed maximum size of "
            f"{_MAX_ELEMENTS}: more elements than can be addressed"
        )
    return count


class Tensor:
    """A named tensor: ``name``, ``datatype`` (protocol name), ``shape``, data and ``parameters``.

    The data is an array (``array``) or the protocol's raw bytes (``raw``); whichever it was made from, the other is
    made once, on first use, without a copy for every datatype but BYTES. Buffers are shared with the maker: treat them
    as read-only. ``text`` marks BYTES that came as JSON strings: a model's Python code is given them as ``str``.
    """

    __slots__ = ("_array", "_raw", "datatype", "name", "parameters", "shape", "text")

    def __init__(
        self,
        name: str,
        datatype: str,
        shape: tuple[int, ...],
        array: np.ndarray[Any, Any] | None = None,
        raw: Buffer | None = None,
        parameters: Parameters | None = None,
        *,
        text: bool = False,
    ) -> None:
        """Trusting constructor: the caller has checked the parts. Use ``from_array`` or ``from_raw`` otherwise."""
        self.name = name
        self.datatype = datatype
        self.shape = shape
        self._array = array
        self._raw = raw
        self.parameters = parameters
        self.text = text

    @classmethod
    def from_array(
        cls,
        name: str,
        array: np.ndarray[Any, Any],
        datatype: str | None = None,
        parameters: Parameters | None = None,
    ) -> Tensor:
        """A tensor over ``array``; its datatype follows from the dtype, but BF16 (uint16 data) must be named.

        Raises InvalidArgumentError where the protocol has no datatype for the array.
        """
        return cls(name, datatype or datatype_of(array).name, array.shape, array=array, parameters=parameters)

    @classmethod
    def from_raw(
        cls,
        name: str,
        datatype: Datatype,
        shape: tuple[int, ...],
        raw: Buffer,
        parameters: Parameters | None = None,
        *,
        text: bool = False,
        model: str = "",
    ) -> Tensor:
        """A tensor over the protocol's raw bytes, for ``model`` where it is one's input.

        Raises InvalidArgumentError where shape and byte count disagree; BYTES are checked when they are unpacked.
        """
        count = element_count(shape, name)
        size = raw.nbytes if isinstance(raw, memoryview) else len(raw)
        if datatype.itemsize and count * datatype.itemsize != size:
            whose = f" for model '{model}'" if model else ""
            raise InvalidArgumentError(
                f"input byte size mismatch for input '{name}'{whose}. Expected {count * datatype.itemsize}, got {size}"
            )
        return cls(name, datatype.name, shape, raw=raw, parameters=parameters, text=text)

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The data as an array of ``shape``; BYTES as objects of bytes, BF16 as uint16.

        Raises InvalidArgumentError where raw BYTES do not hold what the shape says.
        """
        array = self._array
        if array is None:
            raw = self._raw
            assert raw is not None, "a tensor has an array or raw bytes"
            datatype = DATATYPES[self.datatype]
            if datatype.itemsize:
                array = np.frombuffer(raw, dtype=datatype.dtype).reshape(self.shape)
            else:
                view = raw if isinstance(raw, (bytes, memoryview)) else memoryview(raw)
                array = unpack_bytes(view, element_count(self.shape, self.name), self.name).reshape(self.shape)
            self._array = array
        return array

    @property
    def raw(self) -> bytes | memoryview:
        """The data as the protocol's raw bytes: little-endian, row-major; BYTES length-prefixed."""
        raw = self._raw
        if raw is None:
            array = self._array
            assert array is not None, "a tensor has an array or raw bytes"
            datatype = DATATYPES[self.datatype]
            if not datatype.itemsize:
                raw = pack_bytes(array)
            else:
                if array.dtype != datatype.dtype:
                    array = array.astype(datatype.dtype)
                # A view of the array's own memory where it is contiguous; an empty array has no memory to view.
                raw = array.ravel().view(np.uint8).data if array.size else b""
            self._raw = raw
        return memoryview(raw) if isinstance(raw, bytearray) else raw

    @property
    def nbytes(self) -> int:
        """Bytes of the raw form; packs BYTES to know."""
        raw = self.raw
        return raw.nbytes if isinstance(raw, memoryview) else len(raw)

    @property
    def has_raw(self) -> bool:
        """Whether the raw form is already there, so that asking for it costs nothing."""
        return self._raw is not None

    @property
    def has_array(self) -> bool:
        """Whether the array is already there, so that asking for it costs nothing."""
        return self._array is not None

    def renamed(self, name: str) -> Tensor:
        """The same data under another name."""
        return Tensor(name, self.datatype, self.shape, self._array, self._raw, self.parameters, text=self.text)

    def reshaped(self, shape: tuple[int, ...]) -> Tensor:
        """The same data in another shape of as many elements."""
        array = None if self._array is None else self._array.reshape(shape)
        return Tensor(self.name, self.datatype, shape, array, self._raw, self.parameters, text=self.text)

    def __repr__(self) -> str:
        return f"Tensor({self.name!r}, {self.datatype}, {list(self.shape)})"
