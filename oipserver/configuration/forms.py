"""The forms of a configuration: ``config.pbtxt``, protobuf's JSON, the message, and the plain one the server works on;
knows no rule of what a configuration may say."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import json_format, text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from ..errors import InvalidArgumentError, one_line
from ..pb import model_config_pb2
from .unknown import known_in_json, unknown_in_text

#: A model's configuration as plain JSON values: the schema's own field names, every scalar there, messages that are not
#: set left out, 64-bit integers as numbers.
Configuration = dict[str, Any]

Warn = Callable[[str], None]


def read_text(text: str | bytes, warn: Warn) -> Configuration:
    """The configuration in the text of a ``config.pbtxt``.

    ``warn`` gets a line for each field that is not known and has no effect. Raises InvalidArgumentError with the line
    and column of what cannot be read.
    """
    try:
        text = text.decode() if isinstance(text, bytes) else text
        return to_json(_parsed(text, warn))
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"is not UTF-8 text (byte {error.start})") from None
    except text_format.ParseError as error:
        raise InvalidArgumentError(one_line(error)) from None
    except RecursionError:
        raise InvalidArgumentError("is nested too deeply") from None


def _parsed(text: str, warn: Warn) -> Message:
    try:
        return text_format.Parse(text, model_config_pb2.ModelConfig())
    except text_format.ParseError:
        message = text_format.Parse(text, model_config_pb2.ModelConfig(), allow_unknown_field=True)
    for name, line in unknown_in_text(text, message.DESCRIPTOR):
        warn(f"line {line}: unknown field '{name}' has no effect")
    return message


def read_json(value: Any, warn: Warn) -> Configuration:
    """The configuration in protobuf's JSON form, where numbers may be texts and names may be in camel case.

    ``warn`` gets a line for each member that is not known. Raises InvalidArgumentError saying what cannot be read.
    """
    return to_json(to_message(value, warn))


def _silent(_: str) -> None:
    """For what was warned of before, or cannot be there."""


def to_message(value: Any, warn: Warn = _silent) -> model_config_pb2.ModelConfig:
    """The ModelConfig message of a configuration in a JSON form; ``warn`` as in ``read_json``.

    Raises InvalidArgumentError.
    """
    if not isinstance(value, Mapping):
        raise InvalidArgumentError(f"expected an object, got {type(value).__name__}")
    message = model_config_pb2.ModelConfig()
    try:
        known = known_in_json(value, message.DESCRIPTOR, lambda path: warn(f"unknown field '{path}' has no effect"))
        json_format.ParseDict(known, message)
    except (json_format.ParseError, DecodeError, ValueError, TypeError, AttributeError) as error:
        raise InvalidArgumentError(one_line(error)) from None
    except RecursionError:
        raise InvalidArgumentError("is nested too deeply") from None
    return message


def to_json(message: Message) -> Configuration:
    """The plain form of a ModelConfig message, or of one inside it."""
    plain: Configuration = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            item = field.message_type.fields_by_name["value"]
            plain[field.name] = {str(key): _plain(value[key], item) for key in sorted(value)}
        elif isinstance(value, (str, bytes, int, float, Message)):
            if not field.has_presence or message.HasField(field.name):
                plain[field.name] = _plain(value, field)
        else:
            plain[field.name] = [_plain(item, field) for item in value]
    return plain


def _plain(value: Any, field: Any) -> Any:
    if isinstance(value, Message):
        return to_json(value)
    if field.enum_type is not None:
        member = field.enum_type.values_by_number.get(value)
        return value if member is None else member.name
    if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT:
        return _shortest(value)
    return value


def _shortest(value: float) -> float:
    """The shortest decimal that is ``value`` in single precision: 0.1, not 0.10000000149."""
    if math.isfinite(value):
        for digits in range(6, 9):
            short = float(f"{value:.{digits}g}")
            if struct.pack("f", short) == struct.pack("f", value):
                return short
    return value
