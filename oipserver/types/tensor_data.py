"""TensorData: the elements of a public tensor, which become Python objects only when somebody looks at them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema, to_json

from ..tensor import Tensor, element_count
from ..tensor.json_data import float32_from_bf16

Source = Tensor | np.ndarray[Any, Any]

_DUMPED = dict[str, Any]  # a method below takes the name ``dict``
_NOT_LISTED: Any = object()


class TensorData:
    """The elements of a tensor: a list (flat or nested), a single element, or an array that is listed when asked.

    Behaves like the list it stands for: iteration, indexing, length, ``root``. ``source`` is what it was made from as
    long as nobody could have changed the list: codecs take arrays from there, without any list in between.
    """

    __slots__ = ("_list", "_source")
    __hash__ = None  # type: ignore[assignment]  # it is as mutable as its list

    def __init__(self, root: Any) -> None:
        if isinstance(root, (Tensor, np.ndarray)):
            self._source: Source | None = root
            self._list = _NOT_LISTED
        else:
            self._source = None
            self._list = root

    @property
    def source(self) -> Source | None:
        """The tensor or array behind the elements; None where they are Python objects of their own."""
        return self._source

    @property
    def root(self) -> Any:
        """The elements as Python objects, to keep and to change: from here on the list is what counts."""
        elements = self.elements()
        self._source = None
        return elements

    @root.setter
    def root(self, value: Any) -> None:
        self.__init__(value)  # type: ignore[misc]

    def elements(self) -> Any:
        """The elements as Python objects, to be read only."""
        if self._list is _NOT_LISTED:
            source = self._source
            assert source is not None, "what is not listed has a source"
            self._list = _tensor_list(source) if isinstance(source, Tensor) else _array_list(source)
        return self._list

    def __iter__(self) -> Iterator[Any]:
        return iter(self.elements())

    def __getitem__(self, index: int | slice) -> Any:
        return self.elements()[index]

    def __len__(self) -> int:
        if isinstance(self._source, Tensor):
            return element_count(self._source.shape, self._source.name)
        return len(self.elements())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        """The flat elements: an array is not taken through a list."""
        source = self._source
        if isinstance(source, Tensor) and source.datatype not in ("BYTES", "BF16"):
            return np.array(source.array.reshape(-1), dtype=dtype)
        return np.array(self.elements(), dtype=dtype)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorData):
            return NotImplemented
        return bool(self.elements() == other.elements())

    def __repr__(self) -> str:
        return f"TensorData(root={self.elements()!r})"

    def __reduce__(self) -> tuple[type[TensorData], tuple[Any]]:
        source = self._source
        return TensorData, (source if isinstance(source, np.ndarray) else self.elements(),)

    def model_dump(self, **_: Any) -> Any:
        """The elements."""
        return self.elements()

    def model_dump_json(self, **_: Any) -> str:
        """The elements as JSON text; bytes as UTF-8."""
        return to_json(self.elements()).decode()

    dict = model_dump
    json = model_dump_json

    @classmethod
    def model_validate(cls, obj: Any) -> TensorData:
        """From a list, an element, an array, or other tensor data."""
        return obj if isinstance(obj, TensorData) else cls(obj)

    parse_obj = model_validate

    @classmethod
    def parse_raw(cls, b: str | bytes, **_: Any) -> TensorData:
        """From JSON text."""
        return cls(json.loads(b))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.model_validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                cls._serialized, return_schema=core_schema.any_schema()
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"items": {}, "type": "array"}, {}], "title": "TensorData"}

    @staticmethod
    def _serialized(value: Any) -> Any:
        """What a dump shows; ``value`` may be a plain list where a model's code put one."""
        return value.elements() if isinstance(value, TensorData) else value


def _tensor_list(tensor: Tensor) -> list[Any]:
    flat = tensor.array.reshape(-1)
    if tensor.datatype == "BF16":
        flat = float32_from_bf16(flat)
    elements: list[Any] = flat.tolist()
    if tensor.text:
        return [element.decode() if isinstance(element, bytes) else element for element in elements]
    return elements


def _array_list(array: np.ndarray[Any, Any]) -> list[Any]:
    """The flat elements of an array a codec encodes, in the form MLServer's codecs list them.

    Text is UTF-8 bytes; fixed-width bytes (dtype ``S``) are one buffer for the whole array, padded with NUL; NaN is
    None, as in JSON.
    """
    kind = array.dtype.kind
    if kind == "S":
        return [array.tobytes()]
    flat = array.reshape(-1)
    if kind == "V":  # bfloat16 of the ml_dtypes package
        flat = flat.astype(np.float32)
        kind = "f"
    elements: list[Any] = flat.tolist()
    if kind == "U":
        return [element.encode() for element in elements]
    if kind == "f" and np.isnan(flat).any():
        return [None if element != element else element for element in elements]  # NaN is the one unequal to itself
    return elements
