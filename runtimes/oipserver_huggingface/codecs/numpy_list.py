"""Content type ``nplist``: a list of arrays of one shape, as one tensor."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from oipserver.codecs import InputCodec, NumpyCodec, register_input_codec
from oipserver.codecs.lists import is_list_of
from oipserver.types import Parameters, RequestInput, ResponseOutput


@register_input_codec
class NumpyListCodec(InputCodec):
    """Arrays of one shape, side by side along a new first dimension."""

    ContentType: ClassVar[str | None] = "nplist"

    @classmethod
    def can_encode(cls, payload: Any) -> bool:
        return bool(payload) and is_list_of(payload, np.ndarray) and len({array.shape for array in payload}) == 1

    @classmethod
    def encode_output(cls, name: str, payload: list[np.ndarray[Any, Any]], **kwargs: Any) -> ResponseOutput:
        output = NumpyCodec.encode_output(name, np.stack(payload))
        output.parameters = Parameters(content_type=cls.ContentType)
        return output

    @classmethod
    def decode_output(cls, response_output: ResponseOutput) -> list[np.ndarray[Any, Any]]:
        return list(NumpyCodec.decode_output(response_output))

    @classmethod
    def encode_input(cls, name: str, payload: list[np.ndarray[Any, Any]], **kwargs: Any) -> RequestInput:
        request_input = NumpyCodec.encode_input(name, np.stack(payload))
        request_input.parameters = Parameters(content_type=cls.ContentType)
        return request_input

    @classmethod
    def decode_input(cls, request_input: RequestInput) -> list[np.ndarray[Any, Any]]:
        return list(NumpyCodec.decode_input(request_input))
