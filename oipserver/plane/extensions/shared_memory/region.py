"""What every region of client shared memory can do; knows no kind of memory and no request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from ....errors import InvalidArgumentError
from ....protocol.regions import Place
from ....tensor.tensor import Buffer


class Region(ABC):
    """``byte_size`` bytes that a client registered as ``name`` and shares with the server, until ``close``."""

    #: What it is called in errors.
    kind: ClassVar[str]
    #: Whether reading and writing it takes long enough to keep it off the event loop, however little it is.
    slow: ClassVar[bool] = False

    def __init__(self, name: str, byte_size: int) -> None:
        self.name = name
        self.byte_size = byte_size
        #: Requests that use it; the table counts.
        self.users = 0
        #: Whether it is to go with its last user.
        self.leaving = False

    def check(self, place: Place) -> None:
        """Raises InvalidArgumentError where ``place`` is not inside, as far as the region is there now."""
        if place.offset > self.byte_size or (place.size and place.offset == self.byte_size):
            raise InvalidArgumentError(
                f"Invalid offset for shared memory region: '{self.name}': {place.offset}, it has {self.byte_size} bytes"
            )
        if place.offset + place.size > self.byte_size:
            raise InvalidArgumentError(
                f"Invalid offset + byte size for shared memory region: '{self.name}': {place.offset} + {place.size}, "
                f"it has {self.byte_size} bytes"
            )

    @abstractmethod
    def described(self) -> dict[str, Any]:
        """What its status tells, by the protocol's names."""

    @abstractmethod
    def read(self, place: Place) -> memoryview:
        """The bytes at a checked ``place``, read-only: as they are there, or a copy where they cannot be reached."""

    @abstractmethod
    def write(self, place: Place, data: Buffer) -> None:
        """Put ``data``, at most ``place.size`` bytes, to a checked ``place``."""

    def target(self, place: Place, read: Iterable[tuple[Region, Place]]) -> memoryview | None:
        """The bytes at a checked ``place`` to be written bit by bit while the places in ``read`` are still read; None
        where that cannot be."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Let go of the memory. Nobody reads or writes from now on."""
