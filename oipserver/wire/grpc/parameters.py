"""Parameter maps of the messages to and from plain Python values; knows no tensor."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Protocol

import orjson

from ...errors import InvalidArgumentError
from ...tensor import Parameter, Parameters

_INT64 = range(-(2**63), 2**63)
_UINT64 = range(2**64)


class _ParameterMessage(Protocol):
    bool_param: bool
    int64_param: int
    string_param: str
    double_param: float
    uint64_param: int


def read_parameters(parameters: Mapping[str, Any]) -> Parameters:
    """The values of a parameter map. Raises InvalidArgumentError naming a parameter that has none."""
    values: Parameters = {}
    for key, parameter in parameters.items():
        choice = parameter.WhichOneof("parameter_choice")
        if choice is None:
            raise InvalidArgumentError(f"parameter '{key}' has no value")
        value: Parameter = getattr(parameter, choice)
        values[key] = value
    return values


def write_parameters(parameters: Mapping[str, object], into: MutableMapping[str, Any]) -> None:
    """Fill a message's parameter map.

    None is left out. What a parameter cannot hold (lists, mappings, integers beyond 64 bits) is written as JSON text.
    """
    for key, value in parameters.items():
        if value is None:
            continue
        _write(value, into[key])


def _write(value: object, parameter: _ParameterMessage) -> None:
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, str):
        parameter.string_param = value
    elif isinstance(value, int) and value in _INT64:
        parameter.int64_param = value
    elif isinstance(value, int) and value in _UINT64:
        parameter.uint64_param = value
    elif isinstance(value, float):
        parameter.double_param = value
    elif isinstance(value, int):
        parameter.string_param = str(value)
    else:
        parameter.string_param = orjson.dumps(value, default=str).decode()
