"""``mlserver.raw``: tensors of the public types to and from the protocol's raw bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..codecs.lists import ListElement, as_list
from ..codecs.utils import InputOrOutput, elements_of
from ..tensor import Tensor, array_from_json, lookup_datatype
from ..tensor.packing import as_bytes, pack_bytes
from ..types import TensorData


def pack(elem: InputOrOutput) -> bytes:
    """The raw bytes of a tensor. Raises InvalidArgumentError naming it where its elements are not of its datatype."""
    source = TensorData.model_validate(elem.data).source
    if isinstance(source, Tensor) and source.datatype == str(elem.datatype):
        return bytes(source.raw)
    return _pack_bytes(as_list(elements_of(elem))) if str(elem.datatype) == "BYTES" else _pack_tensor(elem)


def unpack(elem: InputOrOutput, raw: bytes) -> list[Any]:
    """The elements of ``raw``, the data of a tensor with this datatype and shape.

    Raises InvalidArgumentError naming the tensor where ``raw`` does not hold what its shape says.
    """
    return _unpack_bytes(raw) if str(elem.datatype) == "BYTES" else _unpack_tensor(elem, raw)


def inject_raw(elems: Sequence[InputOrOutput], raw_contents: Sequence[bytes]) -> list[InputOrOutput]:
    """Give each tensor that has no elements those of the next raw bytes. Raises what ``unpack`` raises."""
    raws = iter(raw_contents)
    for elem in elems:
        if len(elements_of(elem)) == 0 and (raw := next(raws, None)) is not None:
            elem.data = TensorData(unpack(elem, raw))
    return list(elems)


def extract_raw(elems: Sequence[InputOrOutput]) -> tuple[list[InputOrOutput], list[bytes]]:
    """Take the elements out of each tensor: the tensors, empty now, and the raw bytes of each."""
    raws = [pack(elem) for elem in elems]
    for elem in elems:
        elem.data = TensorData([])
    return list(elems), raws


def _pack_bytes(unpacked: Iterable[ListElement]) -> bytes:
    elements = list(unpacked)
    array = np.empty(len(elements), dtype=object)
    array[:] = [as_bytes(element) for element in elements]
    return pack_bytes(array)


def _unpack_bytes(raw: bytes) -> list[bytes]:
    elements, start = [], 0
    while start < len(raw):
        end = start + 4 + int.from_bytes(raw[start : start + 4], "little")
        elements.append(raw[start + 4 : end])
        start = end
    return elements


def _pack_tensor(elem: InputOrOutput) -> bytes:
    datatype = lookup_datatype(elem.datatype, elem.name)
    array = array_from_json(elements_of(elem), datatype, tuple(elem.shape), elem.name)
    return bytes(Tensor(elem.name, datatype.name, array.shape, array=array).raw)


def _unpack_tensor(elem: InputOrOutput, raw: bytes) -> list[Any]:
    tensor = Tensor.from_raw(elem.name, lookup_datatype(elem.datatype, elem.name), tuple(elem.shape), raw)
    return list(TensorData(tensor).root)
