"""Reading single values of a model's configuration in JSON form, whose 64-bit numbers may be text; knows no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ModelLoadError
from ..tensor import DATATYPES, Datatype

Json = Mapping[str, Any]


def integer(fields: Json, name: str, default: int = 0) -> int:
    """A number of ``fields``; ``default`` where it is absent or 0."""
    return int(fields.get(name) or 0) or default


def numbers(fields: Json, name: str) -> list[Any]:
    """A list of ``fields``, empty where it is absent."""
    return list(fields.get(name) or ())


def dims(fields: Json) -> tuple[int, ...]:
    """The ``dims`` of ``fields``."""
    return tuple(int(dim) for dim in numbers(fields, "dims"))


def datatype(name: object, of: str) -> Datatype:
    """The protocol's datatype for the configuration's ``TYPE_...``. Raises ModelLoadError naming ``of``."""
    plain = str(name or "").removeprefix("TYPE_")
    found = DATATYPES.get("BYTES" if plain == "STRING" else plain)
    if found is None:
        raise ModelLoadError(f"{of}: '{name}' is no datatype of the configuration")
    return found


def fits(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether ``shape`` is one of those that ``wanted``, with -1 for any, allows."""
    return len(shape) == len(wanted) and all(want in (-1, got) for got, want in zip(shape, wanted, strict=True))
