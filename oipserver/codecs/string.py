"""Content type ``str``: a list of text."""

from __future__ import annotations

from typing import Any

from ..types import Parameters, RequestInput, ResponseOutput, TensorData
from .base import InputCodec, register_input_codec, register_request_codec
from .errors import CodecError
from .lists import as_list, is_list_of
from .utils import InputOrOutput, SingleInputRequestCodec, elements_of

_ENCODING = "utf-8"


def encode_str(elem: str) -> bytes:
    """Text as UTF-8."""
    return elem.encode(_ENCODING)


def decode_str(encoded: Any, str_codec: str = _ENCODING) -> str | None:
    """Text from bytes or text; None stays None, any other element is no text and becomes the empty string."""
    if isinstance(encoded, bytes):
        return encoded.decode(str_codec)
    return encoded if encoded is None or isinstance(encoded, str) else ""


def decode_strings(input_or_output: InputOrOutput) -> list[Any]:
    """The elements as text. Raises CodecError where bytes are not UTF-8."""
    try:
        return [decode_str(element) for element in as_list(elements_of(input_or_output))]
    except UnicodeDecodeError as error:
        raise CodecError(f"'{input_or_output.name}' holds bytes that are not UTF-8 text") from error


@register_input_codec
class StringCodec(InputCodec):
    """Text as BYTES elements in UTF-8: data is ``bytes``, or ``str`` with ``use_bytes=False``."""

    ContentType = "str"
    TypeHint = list[str]

    @classmethod
    def can_encode(cls, payload: Any) -> bool:
        return is_list_of(payload, str)

    @classmethod
    def encode_output(cls, name: str, payload: list[str], use_bytes: bool = True, **kwargs: Any) -> ResponseOutput:
        return ResponseOutput(**cls._fields(name, payload, use_bytes))

    @classmethod
    def decode_output(cls, response_output: ResponseOutput) -> list[str]:
        return decode_strings(response_output)

    @classmethod
    def encode_input(cls, name: str, payload: list[str], use_bytes: bool = True, **kwargs: Any) -> RequestInput:
        return RequestInput(**cls._fields(name, payload, use_bytes))

    @classmethod
    def decode_input(cls, request_input: RequestInput) -> list[str]:
        return decode_strings(request_input)

    @classmethod
    def _fields(cls, name: str, payload: list[str], use_bytes: bool) -> dict[str, Any]:
        return {
            "name": name,
            "datatype": "BYTES",
            "shape": [len(payload), 1],
            "data": TensorData([encode_str(element) for element in payload] if use_bytes else list(payload)),
            "parameters": Parameters(content_type=cls.ContentType),
        }


@register_request_codec
class StringRequestCodec(SingleInputRequestCodec):
    """The one input of a request as a list of text."""

    InputCodec = StringCodec
    ContentType = StringCodec.ContentType
    TypeHint = list[str]
