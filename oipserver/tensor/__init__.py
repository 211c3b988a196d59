"""The one tensor every wire, worker and runtime meets in; knows no protocol message and no transport."""

from __future__ import annotations

from .datatype import DATATYPES, Datatype, datatype_of, lookup_datatype
from .json_data import array_from_json, array_to_json
from .packing import pack_bytes, packed_size, unpack_bytes
from .tensor import Parameter, Parameters, Tensor, element_count, shape_text

__all__ = [
    "DATATYPES",
    "Datatype",
    "Parameter",
    "Parameters",
    "Tensor",
    "array_from_json",
    "array_to_json",
    "datatype_of",
    "element_count",
    "lookup_datatype",
    "pack_bytes",
    "packed_size",
    "shape_text",
    "unpack_bytes",
]
