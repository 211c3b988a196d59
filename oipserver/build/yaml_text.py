"""Plain data as YAML that people like to read; knows no schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]

# Words that every reader of YAML takes for the text they are; all others are quoted.
_TEXT = re.compile(r"[A-Za-z/][A-Za-z0-9._/-]*")
_NO_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan"})


def yaml_documents(documents: Iterable[dict[str, Plain]]) -> str:
    """Objects as one YAML file, in their own order."""
    return "---\n".join("\n".join(_object(each, "")) + "\n" for each in documents)


def _object(value: dict[str, Plain], indent: str) -> Iterator[str]:
    for key, item in value.items():
        yield from _entry(f"{indent}{_scalar(key)}:", item, indent)


def _entry(head: str, item: Plain, indent: str) -> Iterator[str]:
    if isinstance(item, dict) and item:
        yield head
        yield from _object(item, indent + "  ")
    elif isinstance(item, list) and any(isinstance(each, dict | list) for each in item):
        yield head
        for each in item:
            filled = isinstance(each, dict) and each
            first, *rest = _object(filled, indent + "    ") if filled else [_scalar(each)]
            yield f"{indent}  - {first.strip()}"
            yield from rest
    else:
        yield f"{head} {_scalar(item)}"


def _scalar(value: Plain) -> str:
    if isinstance(value, str) and _TEXT.fullmatch(value) and value.lower() not in _NO_TEXT:
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    return json.dumps(value)
