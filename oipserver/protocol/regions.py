"""Tensors that lie in client shared memory, as a request names them; knows no form of a request and no memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import InvalidArgumentError
from ..tensor import Parameters, Tensor
from .members import came

REGION = "shared_memory_region"
BYTE_SIZE = "shared_memory_byte_size"
OFFSET = "shared_memory_offset"
_OWN = frozenset({REGION, BYTE_SIZE, OFFSET})


@dataclass(frozen=True, slots=True)
class Place:
    """``size`` bytes at ``offset`` of what a client registered as ``region``."""

    region: str
    size: int
    offset: int = 0

    @property
    def parameters(self) -> Parameters:
        """The parameters that tell this place."""
        told: Parameters = {REGION: self.region, BYTE_SIZE: self.size}
        if self.offset:
            told[OFFSET] = self.offset
        return told


class PlacedTensor(Tensor):
    """A tensor whose data is not in its message but at ``place``: an input to be read from there, or an output that
    was written there. Its ``raw`` is what the message holds: nothing."""

    __slots__ = ("place",)

    def __init__(
        self, name: str, datatype: str, shape: tuple[int, ...], place: Place, parameters: Parameters | None = None
    ) -> None:
        super().__init__(name, datatype, shape, raw=b"", parameters=parameters)
        self.place = place


def take_place(parameters: Parameters, tensor: str) -> tuple[Place, Parameters | None]:
    """Where the data of ``tensor`` lies, by ``parameters`` that name a region, and the parameters but for that.

    Raises InvalidArgumentError.
    """
    region = parameters[REGION]
    if not isinstance(region, str):
        raise InvalidArgumentError(f"Unable to parse '{REGION}': expected a string for '{tensor}', got {came(region)}")
    if BYTE_SIZE not in parameters:
        raise InvalidArgumentError(
            f"'{BYTE_SIZE}' must be specified along with '{REGION}' parameter for tensor '{tensor}'"
        )
    size, offset = _bytes(parameters, BYTE_SIZE, tensor), _bytes(parameters, OFFSET, tensor)
    rest = {key: value for key, value in parameters.items() if key not in _OWN}
    return Place(region, size, offset), rest or None


def take_output_place(
    parameters: Parameters, output: str, places: dict[str, Place], *, binary: bool = False
) -> Parameters | None:
    """Note in ``places`` where ``output`` is to be put, and return the parameters but for that.

    Raises InvalidArgumentError where it is wanted in another form as well: ``binary``, or classes.
    """
    for form, wanted in (("binary_data", binary), ("classification", "classification" in parameters)):
        if wanted:
            raise InvalidArgumentError(f"Output can't set both '{REGION}' and '{form}' (output '{output}')")
    places[output], rest = take_place(parameters, output)
    return rest


def _bytes(parameters: dict[str, Any], member: str, tensor: str) -> int:
    value: object = parameters.get(member, 0)
    if type(value) is not int or value < 0:
        got = value if type(value) is int else came(value)
        raise InvalidArgumentError(
            f"Unable to parse '{member}': expected an integer of 0 or more for tensor '{tensor}', got {got}"
        )
    return value
