"""Content type ``raw``: one number, text or truth value, as it is."""

from __future__ import annotations

from typing import Any, ClassVar

from oipserver.codecs import CodecError, InputCodec, register_input_codec
from oipserver.codecs.lists import as_list
from oipserver.codecs.utils import InputOrOutput, elements_of
from oipserver.types import Parameters, RequestInput, ResponseOutput, TensorData

_DATATYPES = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}


@register_input_codec
class RawCodec(InputCodec):
    """A scalar as a tensor of one element, of the datatype that its type has.

    It is found by its content type alone: by the type of a value, it would take texts from other models' codecs.
    """

    ContentType: ClassVar[str | None] = "raw"

    @classmethod
    def takes(cls, payload: Any) -> bool:
        """Whether ``payload`` is a scalar."""
        return type(payload) in _DATATYPES

    @classmethod
    def encode_output(cls, name: str, payload: Any, **kwargs: Any) -> ResponseOutput:
        return ResponseOutput(**cls._fields(name, payload))

    @classmethod
    def decode_output(cls, response_output: ResponseOutput) -> Any:
        return _only(response_output)

    @classmethod
    def encode_input(cls, name: str, payload: Any, **kwargs: Any) -> RequestInput:
        return RequestInput(**cls._fields(name, payload))

    @classmethod
    def decode_input(cls, request_input: RequestInput) -> Any:
        return _only(request_input)

    @classmethod
    def _fields(cls, name: str, payload: Any) -> dict[str, Any]:
        datatype = _DATATYPES.get(type(payload))
        if datatype is None:
            raise CodecError(f"'{name}' is a {type(payload).__name__}, which is no number, text or truth value")
        return {
            "name": name,
            "datatype": datatype,
            "shape": [1],
            "data": TensorData([payload]),
            "parameters": Parameters(content_type=cls.ContentType),
        }


def _only(tensor: InputOrOutput) -> Any:
    """The one element; text as ``str``, whichever wire it came by."""
    listed = list(as_list(elements_of(tensor)))
    if len(listed) != 1:
        raise CodecError(f"'{tensor.name}' must hold one element, it holds {len(listed)}")
    element = listed[0]
    try:
        return element.decode() if isinstance(element, bytes) else element
    except UnicodeDecodeError as error:
        raise CodecError(f"'{tensor.name}' holds bytes that are not UTF-8 text") from error
