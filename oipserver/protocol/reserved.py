"""Parameters that are the protocol's own, in every form of a request: what they may be; knows no form."""

from __future__ import annotations

from collections.abc import Container, Mapping

from ..errors import InvalidArgumentError
from .members import came

RESERVED_PREFIX = "triton_"
_COUNTS = frozenset({"priority", "timeout"})


def check_request_parameters(parameters: Mapping[str, object], allowed: Container[str] = ()) -> None:
    """Raises InvalidArgumentError for a reserved key that is not ``allowed``, and for one of a wrong kind."""
    for key, value in parameters.items():
        if key in _COUNTS:
            _unsigned(value, f"Unable to parse '{key}'")
        elif key.startswith(RESERVED_PREFIX) and key not in allowed:
            raise InvalidArgumentError(
                f"parameter keys starting with '{RESERVED_PREFIX}' are reserved for Triton usage and should not be "
                f"specified, got '{key}'"
            )


def class_count(parameters: Mapping[str, object]) -> int:
    """How many classes the parameters of an output ask for, 0 for none. Raises InvalidArgumentError."""
    return _unsigned(parameters["classification"], "Unable to set 'classification'")


def _unsigned(value: object, failure: str) -> int:
    if type(value) is not int or value < 0:
        got = str(value) if type(value) is int else came(value)
        raise InvalidArgumentError(f"{failure}: expected an integer of 0 or more, got {got}")
    return value
