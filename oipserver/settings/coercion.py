"""From text and raw JSON values to typed fields, and from pydantic's complaints to one line a user understands."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ..errors import InvalidArgumentError
from .suggestion import did_you_mean

_EXPECTED = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "string": "a string",
    "list": "a list",
    "dict": "an object",
    "model": "an object",
}
_PLAIN = {"missing": "this key is required", "extra_forbidden": "there is no such key"}


def arms(annotation: object) -> tuple[object, ...]:
    """The types a field may have: those of a union, or the one there is."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def is_list(annotation: object) -> bool:
    """Whether a field takes a list."""
    return any(get_origin(arm) is list for arm in arms(annotation))


def choices(annotation: object) -> tuple[str, ...]:
    """The words a field is limited to; empty where it is not."""
    return next((get_args(arm) for arm in arms(annotation) if get_origin(arm) is Literal), ())


def is_object(arm: object) -> bool:
    """Whether a type is written as a JSON object."""
    return get_origin(arm) is dict or (isinstance(arm, type) and issubclass(arm, BaseModel))


def parse_text(annotation: object, text: str, where: str) -> object:
    """The raw value that ``text`` from the environment or the command line stands for.

    Lists and objects are JSON; a list may also be written as words with commas between them. ``null`` and ``none`` are
    None where a field may be. Everything else stays text for pydantic to coerce. Raises InvalidArgumentError naming
    ``where`` it came from.
    """
    kinds = arms(annotation)
    stripped = text.strip()
    if NoneType in kinds and stripped.lower() in ("null", "none"):
        return None
    takes_list, takes_object = is_list(annotation), any(map(is_object, kinds))
    opening = stripped[:1]
    if (takes_list and opening == "[") or (takes_object and opening == "{"):
        try:
            return json.loads(stripped)
        except json.JSONDecodeError as error:
            raise InvalidArgumentError(f"{where}: broken JSON at character {error.pos + 1}: {error.msg}") from error
    if takes_list:
        return [word for part in stripped.split(",") if (word := part.strip())]
    return text if str in kinds else known_word(annotation, stripped)


def parse_list(text: str, where: str) -> list[str]:
    """The words of a list, written as for ``parse_text``. Raises InvalidArgumentError naming ``where`` it came from."""
    words = parse_text(list[str], text, where)
    return [str(word) for word in words] if isinstance(words, list) else []


def known_word(annotation: object, value: object) -> object:
    """``value``, written as the choice of a field that it is but for upper and lower case."""
    if isinstance(value, str):
        return next((word for word in choices(annotation) if word.lower() == value.lower()), value)
    return value


def explain(error: ValidationError, model: type[BaseModel], where: Callable[[str], str], prefix: str = "") -> str:
    """One line for everything pydantic found: key (behind ``prefix``), what was expected, what came, and ``where`` that
    field came from."""
    complaints: dict[str, tuple[list[str], ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        key = prefix + _key(detail, model)
        complaints.setdefault(key, ([], detail))[0].append(_expected(detail))
    lines = []
    for key, (expected, detail) in complaints.items():
        source = where(str(detail["loc"][0])) if detail["loc"] else where("")
        if plain := _PLAIN.get(detail["type"]):
            lines.append(f"{key}: {plain} (from {source})")
            continue
        wanted = " or ".join(dict.fromkeys(expected))
        hint = _hint(detail)
        lines.append(f"{key}: expected {wanted}, got {_shown(detail['input'])}{hint} (from {source})")
    return "; ".join(lines)


def _key(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """The dotted key; pydantic appends the arm of a union that it tried, which is no part of it."""
    loc = list(detail["loc"])
    field = model.model_fields.get(str(loc[0])) if loc else None
    if field is not None and len([arm for arm in arms(field.annotation) if arm is not NoneType]) > 1:
        loc = loc[:1]
    return ".".join(str(part) for part in loc) or model.__name__


def _expected(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "literal_error":
        return str(context["expected"])
    for bound, words in (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than")):
        if bound in context:
            return f"{words} {context[bound]:g}"
    return _EXPECTED.get(kind.split("_")[0], detail["msg"])


def _hint(detail: ErrorDetails) -> str:
    if detail["type"] != "literal_error" or not isinstance(detail["input"], str):
        return ""
    words = [word.strip("' ") for word in str(detail.get("ctx", {})["expected"]).replace(" or ", ",").split(",")]
    return did_you_mean(detail["input"], words)


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=repr)
    return text if len(text) <= 80 else text[:77] + "..."
