"""Finds the fields of a configuration that its schema does not have; judges no value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from google.protobuf import text_format

#: What a message is made of; protobuf has a class for each of its implementations.
Descriptor = Any

_BRACKETS = {"{": "}", "<": ">"}


def unknown_in_text(text: str, kind: Descriptor) -> Iterator[tuple[str, int]]:
    """Name and line (from 1) of each field that ``kind`` and the messages in it do not have.

    ``text`` is in protobuf's text format, and free of mistakes but for these.
    """
    yield from _fields(text_format.Tokenizer(text.split("\n")), kind, "")


def _fields(tokens: Any, kind: Descriptor, closing: str) -> Iterator[tuple[str, int]]:
    while not tokens.AtEnd() and not (closing and tokens.TryConsume(closing)):
        if tokens.TryConsume(",") or tokens.TryConsume(";"):
            continue
        name, line = tokens.token, tokens.ParseError("").GetLine()
        tokens.NextToken()
        if name == "[":  # the name of an extension, which nothing here has
            while not tokens.TryConsume("]"):
                name += tokens.token
                tokens.NextToken()
            name += "]"
        field = kind.fields_by_name.get(name) if kind is not None else None
        if field is None and kind is not None:
            yield name, line
        tokens.TryConsume(":")
        yield from _value(tokens, field.message_type if field is not None else None)


def _value(tokens: Any, kind: Descriptor) -> Iterator[tuple[str, int]]:
    opening = tokens.token
    if opening in _BRACKETS:
        tokens.NextToken()
        yield from _fields(tokens, kind, _BRACKETS[opening])
    elif tokens.TryConsume("["):
        while not tokens.TryConsume("]"):
            if not tokens.TryConsume(","):
                yield from _value(tokens, kind)
    else:
        tokens.TryConsume("-")
        is_text = tokens.token[:1] in ("'", '"')
        tokens.NextToken()
        while is_text and tokens.token[:1] in ("'", '"'):  # neighbours are one text
            tokens.NextToken()


def known_in_json(value: Any, kind: Descriptor, unknown: Callable[[str], object], path: str = "") -> Any:
    """``value`` without the members that ``kind`` and the messages in it do not have.

    ``unknown`` is told the path of each of those, as in ``input[0].nmae``.
    """
    if not isinstance(value, Mapping):
        return value
    fields = {name: field for field in kind.fields for name in (field.name, field.json_name)}
    known = {}
    for name, member in value.items():
        here = f"{path}.{name}" if path else str(name)
        field = fields.get(name)
        if field is None:
            unknown(here)
        else:
            known[name] = _known_members(member, field.message_type, unknown, here)
    return known


def _known_members(value: Any, kind: Descriptor, unknown: Callable[[str], object], path: str) -> Any:
    if kind is None:
        return value
    if kind.GetOptions().map_entry:
        inner = kind.fields_by_name["value"].message_type
        if inner is None or not isinstance(value, Mapping):
            return value
        return {key: known_in_json(member, inner, unknown, f"{path}.{key}") for key, member in value.items()}
    if isinstance(value, list):
        return [known_in_json(member, kind, unknown, f"{path}[{index}]") for index, member in enumerate(value)]
    return known_in_json(value, kind, unknown, path)
