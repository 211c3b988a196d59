"""What a request says about its sequence: an id, whether it starts it, whether it ends it; knows no other request."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import InvalidArgumentError
from ...protocol import InferRequest
from ...tensor import Parameters

CorrelationId = int | str

ID, START, END = "sequence_id", "sequence_start", "sequence_end"
_PARAMETERS = frozenset({ID, START, END})
_LONGEST_ID = 128  # bytes of a textual id: clients of Triton know the same bound
_UINT64 = 1 << 64


@dataclass(frozen=True, slots=True)
class SequenceMark:
    """The sequence of one request: ``id`` is a number from 1 to 2^64 - 1 or a text that is not empty."""

    id: CorrelationId
    start: bool
    end: bool


def read_mark(request: InferRequest, model: str) -> SequenceMark:
    """The mark in the parameters of ``request``.

    Raises InvalidArgumentError where there is no id (0 and "" are none), or a parameter is of another type.
    """
    parameters = request.parameters
    correlation = _id(parameters.get(ID, 0), model)
    if not correlation:
        raise InvalidArgumentError(
            f"inference request to model '{model}' must specify a non-zero or non-empty correlation ID"
        )
    return SequenceMark(correlation, _flag(parameters, START, model), _flag(parameters, END, model))


def _id(value: object, model: str) -> CorrelationId:
    if isinstance(value, str):
        size = len(value.encode(errors="surrogatepass"))
        if size > _LONGEST_ID:
            raise InvalidArgumentError(
                f"inference request to model '{model}': '{ID}' must have at most {_LONGEST_ID} bytes, got {size}"
            )
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidArgumentError(
            f"invalid value type for '{ID}' parameter, expected int64_param or string_param: inference request to "
            f"model '{model}' has {type(value).__name__}"
        )
    if not -(_UINT64 >> 1) <= value < _UINT64:
        raise InvalidArgumentError(f"inference request to model '{model}': '{ID}' does not fit into 64 bits")
    return value % _UINT64  # the upper half of the ids is negative in gRPC's int64_param


def _flag(parameters: Parameters, name: str, model: str) -> bool:
    value = parameters.get(name, False)
    if not isinstance(value, bool):
        raise InvalidArgumentError(
            f"invalid value type for '{name}' parameter, expected bool_param: inference request to model '{model}' "
            f"has {type(value).__name__}"
        )
    return value


def without_mark(parameters: Parameters) -> Parameters:
    """``parameters`` but for those that say of which sequence a request is."""
    return {name: value for name, value in parameters.items() if name not in _PARAMETERS}
