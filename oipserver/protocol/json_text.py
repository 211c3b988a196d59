"""From JSON text to Python values, orjson first; knows nothing of what the text means."""

from __future__ import annotations

import json
import re

import orjson

from ..errors import InvalidArgumentError
from ..tensor.tensor import Buffer

MAX_DEPTH = 100

_LITERALS = (b"NaN", b"Infinity")
_HALF_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
# A string without an end matches to the end of the text, so that no text makes the search start over and over.
_STRINGS_AND_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def parse_json(text: Buffer | str) -> object:
    """The value of ``text``; the literals NaN, Infinity and -Infinity are numbers.

    Raises InvalidArgumentError for anything else that is no JSON, invalid UTF-8 and halves of surrogate pairs included.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
        if not any(literal in raw for literal in _LITERALS):
            raise _malformed(f"{error.msg} at {error.pos}") from None
    return _parse_with_literals(raw)


def _parse_with_literals(raw: bytes) -> object:
    """What orjson refuses for its literals goes through the standard library, which has no limits of its own."""
    try:
        text = raw.decode()
        depth = _depth(text)
        if depth > MAX_DEPTH:
            raise _malformed(f"nested {depth} levels deep, at most {MAX_DEPTH} are allowed")
        value: object = json.loads(text)
        if _HALF_ESCAPE.search(raw):
            orjson.dumps(value)  # refuses text that cannot be UTF-8
    except UnicodeDecodeError as error:
        raise _malformed(f"invalid UTF-8 at {error.start}") from None
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg} at {error.pos}") from None
    except (ValueError, TypeError):  # an integer of thousands of digits; half of a surrogate pair
        raise _malformed("a number is too long or a string holds half of a surrogate pair") from None
    return value


def _depth(text: str) -> int:
    """How deep brackets nest outside of strings."""
    depth = deepest = 0
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return 0
    for match in _STRINGS_AND_BRACKETS.finditer(text):
        token = match[0][0]
        if token in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token in "]}":
            depth -= 1
    return deepest


def _malformed(reason: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"failed to parse the request JSON buffer: {reason}")
