"""Content type ``np``: numpy arrays, which come and go without a list in between."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InvalidArgumentError
from ..tensor import DATATYPES, Tensor, datatype_of
from ..tensor.json_data import float32_from_bf16
from ..types import Datatype, Parameters, RequestInput, ResponseOutput, TensorData
from .base import InputCodec, register_input_codec, register_request_codec
from .errors import CodecError
from .lists import is_list_of
from .utils import InputOrOutput, SingleInputRequestCodec, inject_batch_dimension

_Array = np.ndarray[Any, Any]

_BFLOAT16 = "bfloat16"  # the dtype of the ml_dtypes package, which numpy itself has no name for
_DTYPE_PARAMETER = "dtype"  # beside content_type: the dtype of arrays that travel as text


def to_dtype(input_or_output: InputOrOutput) -> np.dtype[Any]:
    """The dtype an input or output is decoded into; BYTES are ``str`` where they came as text, else objects."""
    name = Datatype(input_or_output.datatype).value
    if name == "BYTES":
        data: Any = input_or_output.data
        elements = data.elements() if isinstance(data, TensorData) else data
        return np.dtype(str) if is_list_of(elements, str) else np.dtype(object)
    return np.dtype(np.float32) if name == "BF16" else DATATYPES[name].dtype


def to_datatype(dtype: np.dtype[Any]) -> Datatype:
    """The datatype that carries arrays of ``dtype``. Raises CodecError where there is none."""
    dtype = np.dtype(dtype)
    if dtype.name == _BFLOAT16:
        return Datatype.BF16
    if dtype.kind == "M":  # as ISO 8601 text
        return Datatype.BYTES
    try:
        return Datatype(datatype_of(np.empty(0, dtype)).name)
    except InvalidArgumentError as error:
        raise CodecError(error.message) from error


def _encode_data(data: _Array, datatype: Datatype) -> Any:
    """The list MLServer's codec would make of an array."""
    return TensorData(data).root


def convert_nan(val: Any) -> Any:
    """``val``, or None where it is NaN."""
    return None if np.isnan(val) else val


def _to_ndarray(input_or_output: InputOrOutput) -> _Array:
    """The elements as an array of their own, which nothing else shares; in no particular shape."""
    data: Any = input_or_output.data
    datatype = str(input_or_output.datatype)
    source = data.source if isinstance(data, TensorData) else None
    if isinstance(source, Tensor):
        if datatype != source.datatype:
            return source.array.astype(to_dtype(input_or_output))
        if datatype == "BF16":
            return float32_from_bf16(source.array)
        if datatype != "BYTES":
            return _owned(source.array)
    elif source is not None:
        dtype = source.dtype if datatype == "BYTES" else to_dtype(input_or_output)
        return source.astype(dtype)
    elements = data.elements() if isinstance(data, TensorData) else data
    if datatype == "BYTES":
        return _bytes_array(elements, input_or_output.shape)
    return np.array(elements, to_dtype(input_or_output))


def _owned(array: _Array) -> _Array:
    """``array`` where numpy owns its memory, else a copy: a model may change what it decodes, and keep it."""
    root: Any = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    return array if root.base is None and array.flags.writeable else array.copy()


def _bytes_array(elements: Any, shape: list[int]) -> _Array:
    """Text as an array of ``str``; bytes of one length as ``S`` arrays, others as objects, which keep every byte."""
    if not isinstance(elements, list):
        elements = [elements]
    if is_list_of(elements, str):
        return np.array(elements, dtype=str)
    if not is_list_of(elements, bytes):
        return np.array(elements, dtype=object)
    count = int(np.prod(shape))
    if len(elements) == 1 and count > 1 and len(elements[0]) % count == 0:  # how ``S`` arrays are encoded
        return np.frombuffer(elements[0], dtype=f"S{len(elements[0]) // count}").copy()
    lengths = {len(element) for element in elements}
    if len(lengths) == 1 and not any(element.endswith(b"\0") for element in elements):
        return np.array(elements)
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array


def _decode(input_or_output: InputOrOutput) -> _Array:
    name, shape = input_or_output.name, input_or_output.shape
    try:
        array = _to_ndarray(input_or_output)
        told = (
            (input_or_output.parameters.model_extra or {}).get(_DTYPE_PARAMETER) if input_or_output.parameters else None
        )
        if isinstance(told, str) and told.startswith("datetime64") and array.dtype.kind in "SU":
            array = array.astype(str).astype(told)
        return array.reshape(shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise CodecError(f"'{name}' is no {input_or_output.datatype} tensor of shape {shape}: {error}") from error


@register_input_codec
class NumpyCodec(InputCodec):
    """Arrays as tensors of the same shape; one dimension becomes rows of one element each.

    Text and bytes are BYTES, dates are BYTES in ISO 8601 with their dtype beside the content type. An array is encoded
    by reference: it must not change before the response is sent. BF16 decodes to float32, which numpy can compute with.
    """

    ContentType = "np"
    TypeHint = np.ndarray

    @classmethod
    def can_encode(cls, payload: Any) -> bool:
        return isinstance(payload, np.ndarray)

    @classmethod
    def encode_output(cls, name: str, payload: _Array, **kwargs: Any) -> ResponseOutput:
        return ResponseOutput(**cls._fields(name, payload))

    @classmethod
    def decode_output(cls, response_output: ResponseOutput) -> _Array:
        return _decode(response_output)

    @classmethod
    def encode_input(cls, name: str, payload: _Array, **kwargs: Any) -> RequestInput:
        return RequestInput(**cls._fields(name, payload))

    @classmethod
    def decode_input(cls, request_input: RequestInput) -> _Array:
        return _decode(request_input)

    @classmethod
    def _fields(cls, name: str, payload: _Array) -> dict[str, Any]:
        try:
            datatype = to_datatype(payload.dtype)
        except CodecError as error:
            raise CodecError(f"'{name}': arrays of dtype {payload.dtype} have no datatype") from error
        parameters = Parameters(content_type=cls.ContentType)
        if payload.dtype.kind == "M":
            parameters = Parameters(content_type=cls.ContentType, **{_DTYPE_PARAMETER: str(payload.dtype)})
            payload = np.datetime_as_string(payload)
        shape = inject_batch_dimension(list(payload.shape))
        return {
            "name": name,
            "datatype": datatype,
            "shape": shape,
            "data": TensorData(payload.reshape(shape)),
            "parameters": parameters,
        }


@register_request_codec
class NumpyRequestCodec(SingleInputRequestCodec):
    """The one input of a request as an array."""

    InputCodec = NumpyCodec
    ContentType = NumpyCodec.ContentType
