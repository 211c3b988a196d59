"""Single members of a JSON document: what they are, and what is wrong with them; knows no tensor."""

from __future__ import annotations

from ..errors import InvalidArgumentError


def came(value: object) -> str:
    """What ``value`` is, in JSON's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    names = {int: "an integer", float: "a number", str: "a string", list: "a list"}
    return names.get(type(value), "an object")


def wrong(member: str, expected: str, value: object) -> InvalidArgumentError:
    """The error of a member that is of another kind than ``expected``."""
    return InvalidArgumentError(f"Unable to parse '{member}': expected {expected}, got {came(value)}")


def accessed(member: str, kind: str, value: object) -> InvalidArgumentError:
    """The error of a member that is no ``kind`` ("string", "array"), in the words of Triton's extensions."""
    return InvalidArgumentError(f"attempt to access JSON non-{kind} as {kind}: '{member}' is {came(value)}")


def id_of(value: object) -> str:
    """The id of a request, "" for none. Raises InvalidArgumentError."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise wrong("id", "a string", value)
    return value


def flag(value: object, member: str) -> bool:
    """A boolean. Raises InvalidArgumentError naming ``member``."""
    if not isinstance(value, bool):
        raise wrong(member, "a boolean", value)
    return value


def byte_count(value: object, member: str) -> int:
    """A number of bytes. Raises InvalidArgumentError naming ``member``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        got = f"{value}" if isinstance(value, int) and not isinstance(value, bool) else came(value)
        raise InvalidArgumentError(f"Unable to parse '{member}': expected an integer of 0 or more, got {got}")
    return value
