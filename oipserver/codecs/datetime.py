"""Content type ``datetime``: a list of instants, in ISO 8601 on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..types import Parameters, RequestInput, ResponseOutput, TensorData
from .base import InputCodec, register_input_codec
from .errors import CodecError
from .lists import ListElement, as_list, is_list_of
from .utils import InputOrOutput, elements_of

_NOT_A_TIME = "NaT"  # how pandas and numpy write a missing instant


def _to_iso(element: str | datetime) -> str:
    return element if isinstance(element, str) else element.isoformat()


def _decode(input_or_output: InputOrOutput) -> list[Any]:
    return [_decode_datetime(element, input_or_output.name) for element in as_list(elements_of(input_or_output))]


def _decode_datetime(element: ListElement | None, name: str) -> datetime | None:
    try:
        text = element.decode("ascii") if isinstance(element, bytes) else element
        return None if text is None or text == _NOT_A_TIME else datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise CodecError(f"'{name}' holds an element that is no ISO 8601 date and time") from error


@register_input_codec
class DatetimeCodec(InputCodec):
    """Instants as BYTES elements in ISO 8601: data is ``bytes``, or ``str`` with ``use_bytes=False``."""

    ContentType = "datetime"
    TypeHint = list[str | datetime]
    OtherTypeHints = (list[datetime],)

    @classmethod
    def can_encode(cls, payload: Any) -> bool:
        return is_list_of(payload, datetime)

    @classmethod
    def encode_output(
        cls, name: str, payload: list[str | datetime], use_bytes: bool = True, **kwargs: Any
    ) -> ResponseOutput:
        return ResponseOutput(**cls._fields(name, payload, use_bytes))

    @classmethod
    def decode_output(cls, response_output: ResponseOutput) -> list[datetime]:
        return _decode(response_output)

    @classmethod
    def encode_input(
        cls, name: str, payload: list[str | datetime], use_bytes: bool = True, **kwargs: Any
    ) -> RequestInput:
        return RequestInput(**cls._fields(name, payload, use_bytes))

    @classmethod
    def decode_input(cls, request_input: RequestInput) -> list[datetime]:
        return _decode(request_input)

    @classmethod
    def _fields(cls, name: str, payload: list[str | datetime], use_bytes: bool) -> dict[str, Any]:
        texts = [_to_iso(element) for element in payload]
        return {
            "name": name,
            "datatype": "BYTES",
            "shape": [len(payload), 1],
            "data": TensorData([text.encode("ascii") for text in texts] if use_bytes else texts),
            "parameters": Parameters(content_type=cls.ContentType),
        }
