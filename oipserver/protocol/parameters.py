"""Parameters of a JSON document: which kinds of values they may have; knows no tensor's data."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidArgumentError
from ..tensor import Parameters
from .members import came, wrong

#: Parameters that mean something to the server or to every model.
_NOT_NESTED = frozenset(
    {
        "binary_data",
        "binary_data_output",
        "binary_data_size",
        "classification",
        "content_type",
        "headers",
        "priority",
        "sequence_end",
        "sequence_id",
        "sequence_start",
        "shared_memory_byte_size",
        "shared_memory_offset",
        "shared_memory_region",
        "timeout",
    }
)


def read_parameters(value: object) -> Parameters:
    """The parameters that ``value`` stands for. Raises InvalidArgumentError naming the one that is wrong."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong("parameters", "an object", value)
    for parameter in value.values():
        if not isinstance(parameter, (str, int, float)):
            return _checked(value)
    return value


def _checked(value: dict[str, Any]) -> Parameters:
    """``value`` without what MLServer's clients send along: null for what is not set, and ``headers`` they echo.

    Lists and objects are for models, as with MLServer; the server's own parameters are never of these kinds.
    """
    kept = {
        key: parameter
        for key, parameter in value.items()
        if parameter is not None and not (key == "headers" and isinstance(parameter, dict))
    }
    for key, parameter in kept.items():
        if key in _NOT_NESTED and not isinstance(parameter, (str, int, float)):
            raise InvalidArgumentError(
                f"parameter '{key}' has invalid type. It should be either 'int', 'bool', or 'string', "
                f"got {came(parameter)}."
            )
    return kept


def without(parameters: Parameters, member: str) -> Parameters:
    """A copy: the caller's own document stays as it is."""
    return {key: value for key, value in parameters.items() if key != member}
