"""Lists of text, and single elements that stand for a list of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

ListElement = bytes | str


def is_list_of(payload: Any, instance_type: type | tuple[type, ...]) -> bool:
    """Whether ``payload`` is a list of nothing but ``instance_type``; an empty list is."""
    return isinstance(payload, list) and all(isinstance(element, instance_type) for element in payload)


def as_list(payload: Any) -> Iterator[Any]:
    """The elements of a list however deep it is nested, or the one element that ``payload`` is."""
    if isinstance(payload, list):
        for element in payload:
            if isinstance(element, list):
                yield from as_list(element)
            else:
                yield element
    else:
        yield payload
