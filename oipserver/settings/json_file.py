"""Reading a JSON settings file, and saying precisely where and why it is broken; knows no key."""

from __future__ import annotations

import json
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from ..errors import InvalidArgumentError

_PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``. Raises InvalidArgumentError, one line with file, line, column and the cure."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InvalidArgumentError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"{path} is not UTF-8 text: byte {error.start} is {error.object[error.start]:#x}"
        ) from error
    try:
        value = json.loads(text)
    except JSONDecodeError as error:
        position, problem = _diagnose(text, error)
        raise InvalidArgumentError(f"{path}, {_place(text, position)}: {problem}") from error
    except RecursionError:
        raise InvalidArgumentError(f"{path}: nested too deeply to be settings") from None
    if not isinstance(value, dict):
        raise InvalidArgumentError(f"{path}: expected a JSON object {{...}}, got {json_kind(value)}")
    return value


def json_kind(value: object) -> str:
    """What a JSON value is, in JSON's own words, with an article."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def _place(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"line {line}, column {column}"


def _diagnose(text: str, error: JSONDecodeError) -> tuple[int, str]:
    """Where the mistake is, which may be before the place where the parser noticed it, and what it is."""
    position = error.pos
    if not text.strip():
        return position, "the file is empty; expected a JSON object {...}"
    if (comma := _trailing_comma(text, position)) is not None:
        return comma, "trailing comma: remove it, JSON allows no comma after the last element"
    rest = text[position:].lstrip()
    position = len(text) - len(rest)
    if not rest:
        return position, 'the file ends too early; a closing } or ] or " is missing'
    if rest.startswith("'"):
        return position, "strings need double quotes in JSON: write \"...\" instead of '...'"
    if rest.startswith(("//", "/*", "#")):
        return position, "JSON allows no comments: remove it"
    for word, instead in _PYTHON_WORDS.items():
        if rest.startswith(word):
            return position, f"expected a JSON value, got {word}: write {instead}"
    return position, f"{_expected(error.msg)}, got {_excerpt(rest)}"


def _trailing_comma(text: str, position: int) -> int | None:
    """The index of a comma that only a closing bracket follows, at ``position`` or right before it.

    Python before 3.13 complains about the bracket, later ones about the comma.
    """
    if text[position : position + 1] == ",":
        comma, after = position, text[position + 1 :]
    else:
        comma, after = len(text[:position].rstrip()) - 1, text[position:]
    if comma >= 0 and text[comma] == "," and after.lstrip()[:1] in ("}", "]"):
        return comma
    return None


def _expected(message: str) -> str:
    return {
        "Expecting property name enclosed in double quotes": "expected a key in double quotes",
        "Expecting ',' delimiter": "expected a comma or a closing bracket",
        "Expecting ':' delimiter": "expected a colon after the key",
        "Expecting value": "expected a JSON value",
        "Extra data": "expected nothing after the closing bracket",
    }.get(message, message[:1].lower() + message[1:])


def _excerpt(rest: str) -> str:
    words = rest.split(None, 1)[0]
    return repr(words if len(words) <= 20 else words[:20] + "...")
