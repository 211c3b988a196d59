"""JSON with bytes and arrays in it, for elements and for whole messages."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson

from .errors import CodecError
from .lists import as_list
from .string import decode_str
from .utils import InputOrOutput, elements_of


class JSONEncoderWithArray(json.JSONEncoder):
    """Writes arrays as lists and numpy's numbers as numbers."""

    def default(self, o: Any) -> Any:
        if isinstance(o, np.ndarray):
            return o.tolist()
        if isinstance(o, np.generic):
            return o.item()
        return super().default(o)


def encode_to_json(v: Any, use_bytes: bool = True) -> str | bytes:
    """JSON text, in UTF-8 where ``use_bytes``. Raises ValueError for NaN and infinities, which JSON does not have."""
    text = json.dumps(v, ensure_ascii=False, allow_nan=False, separators=(",", ":"), cls=JSONEncoderWithArray)
    return text.encode() if use_bytes else text


def encode_to_json_bytes(v: Any) -> bytes:
    """JSON text in UTF-8; bytes within ``v`` are written as the text they hold, arrays as lists."""
    return orjson.dumps(v, default=_default, option=orjson.OPT_SERIALIZE_NUMPY)


def _default(value: Any) -> Any:
    if isinstance(value, bytes):
        return decode_str(value)
    if isinstance(value, np.ndarray):  # orjson takes contiguous native arrays only
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def decode_from_bytelike_json_to_dict(v: bytes | str) -> Any:
    """What JSON text holds."""
    return orjson.loads(v)


def decode_json_input_or_output(input_or_output: InputOrOutput) -> list[Any]:
    """What each element holds as JSON. Raises CodecError."""
    try:
        return [json.loads(element) for element in as_list(elements_of(input_or_output))]
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"'{input_or_output.name}' holds an element that is no JSON") from error
