"""Content type ``base64``: a list of bytes, in base64 on the wire."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from ..types import Parameters, RequestInput, ResponseOutput, TensorData
from .base import InputCodec, register_input_codec
from .lists import ListElement, as_list, is_list_of
from .utils import elements_of


def _encode_base64(element: ListElement) -> bytes:
    return base64.b64encode(element.encode() if isinstance(element, str) else element)


def _decode_base64(element: ListElement) -> bytes:
    """The bytes ``element`` is the base64 of; what is no base64 is taken to be the bytes themselves."""
    raw = element.encode() if isinstance(element, str) else element
    try:
        return base64.b64decode(raw, validate=True)
    except binascii.Error:
        return raw


@register_input_codec
class Base64Codec(InputCodec):
    """Bytes as BYTES elements in base64: data is ``bytes``, or ``str`` with ``use_bytes=False``.

    Elements that are no base64 decode to themselves, so that clients of a binary wire may leave the base64 out. Bytes
    that happen to be base64 are decoded all the same: the two cannot be told apart.
    """

    ContentType = "base64"
    TypeHint = list[bytes]

    @classmethod
    def can_encode(cls, payload: Any) -> bool:
        return is_list_of(payload, bytes)

    @classmethod
    def encode_output(cls, name: str, payload: list[bytes], use_bytes: bool = True, **kwargs: Any) -> ResponseOutput:
        return ResponseOutput(**cls._fields(name, payload, use_bytes))

    @classmethod
    def decode_output(cls, response_output: ResponseOutput) -> list[bytes]:
        return [_decode_base64(element) for element in as_list(elements_of(response_output))]

    @classmethod
    def encode_input(cls, name: str, payload: list[bytes], use_bytes: bool = True, **kwargs: Any) -> RequestInput:
        return RequestInput(**cls._fields(name, payload, use_bytes))

    @classmethod
    def decode_input(cls, request_input: RequestInput) -> list[bytes]:
        return [_decode_base64(element) for element in as_list(elements_of(request_input))]

    @classmethod
    def _fields(cls, name: str, payload: list[bytes], use_bytes: bool) -> dict[str, Any]:
        encoded = [_encode_base64(element) for element in payload]
        return {
            "name": name,
            "datatype": "BYTES",
            "shape": [len(payload), 1],
            "data": TensorData(encoded if use_bytes else [element.decode("ascii") for element in encoded]),
            "parameters": Parameters(content_type=cls.ContentType),
        }
