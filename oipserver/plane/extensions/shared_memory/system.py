"""Regions in POSIX shared memory objects, opened by name; the only code that opens what a client names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from mmap import ALLOCATIONGRANULARITY, mmap
from pathlib import Path
from stat import S_ISREG
from typing import Any, ClassVar

import numpy as np

from ....errors import InvalidArgumentError
from ....protocol.regions import Place
from ....tensor.tensor import Buffer
from .region import Region

#: Where the system keeps the objects of shm_open.
FOLDER = Path("/dev/shm")
#: Objects whose names begin so are others' own: Triton's Python backend, named semaphores.
RESERVED_PREFIXES = ("triton_python_backend_shm_region_", "sem.")
_MAX_END = 2**64 - 1


class SystemRegion(Region):
    """``byte_size`` bytes at ``offset`` of the POSIX shared memory object ``key``, mapped once.

    A client that makes the object smaller while a model reads it kills the server (SIGBUS), and no server that reads
    such memory in place can prevent it: ``check`` sees to it that a request begins with an object that is large enough.
    """

    kind: ClassVar[str] = "system"

    def __init__(self, name: str, key: str, offset: int, byte_size: int) -> None:
        """Open and map it. Raises InvalidArgumentError."""
        super().__init__(name, byte_size)
        self.key = key
        self.offset = offset
        fd = _open(name, key, offset, byte_size)
        first = offset - offset % ALLOCATIONGRANULARITY  # only there may a mapping begin
        try:
            status = os.fstat(fd)
            self._object = status.st_dev, status.st_ino
            self._start = offset - first
            self._map = mmap(fd, self._start + byte_size, offset=first)
        except (OSError, ValueError, OverflowError) as error:
            raise _invalid(name, str(error)) from None
        finally:
            os.close(fd)

    def check(self, place: Place) -> None:
        super().check(place)
        there = self._map.size() - self.offset  # of the object now, not of the mapping
        if place.offset + place.size > there:
            raise InvalidArgumentError(
                f"Invalid offset + byte size for shared memory region: '{self.name}': its object '{self.key}' was made "
                f"smaller since it was registered, {max(0, there)} of {self.byte_size} bytes are left"
            )

    def described(self) -> dict[str, Any]:
        return {"name": self.name, "key": self.key, "offset": self.offset, "byte_size": self.byte_size}

    def _view(self, place: Place) -> memoryview:
        start = self._start + place.offset
        return memoryview(self._map)[start : start + place.size]

    def read(self, place: Place) -> memoryview:
        return self._view(place).toreadonly()

    def write(self, place: Place, data: Buffer) -> None:
        source = np.frombuffer(data, np.uint8)
        target = np.frombuffer(self._view(place), np.uint8)[: source.size]
        if source.ctypes.data != target.ctypes.data:  # else it was computed there
            np.copyto(target, source)  # by numpy: it lets others run meanwhile, and the two may overlap

    def target(self, place: Place, read: Iterable[tuple[Region, Place]]) -> memoryview | None:
        start = self.offset + place.offset
        for region, other in read:
            # Two regions may be of one object.
            if isinstance(region, SystemRegion) and region._object == self._object:
                begin = region.offset + other.offset
                if begin < start + place.size and start < begin + other.size:
                    return None
        return self._view(place)

    def close(self) -> None:
        with suppress(BufferError):  # somebody still holds a view, and the mapping goes with the last one
            self._map.close()


def _open(name: str, key: str, offset: int, byte_size: int) -> int:
    """The descriptor of the object, which is large enough. Raises InvalidArgumentError."""
    plain = key.lstrip("/")
    if reserved := next(filter(plain.startswith, RESERVED_PREFIXES), ""):
        raise InvalidArgumentError(
            f"cannot register shared memory region '{name}' with key '{key}' as the key contains the reserved prefix "
            f"'{reserved}'"
        )
    if plain in ("", ".", "..") or "/" in plain or "\0" in plain:
        raise InvalidArgumentError(f"cannot register shared memory region '{name}' - invalid shm key '{key}'")
    if offset + byte_size > _MAX_END:
        raise InvalidArgumentError(
            f"Integer overflow detected: byte_size ({byte_size}) + offset ({offset}) exceeds maximum value "
            f"({_MAX_END}) for region '{name}'"
        )
    try:
        # NOFOLLOW: a link could lead anywhere. NONBLOCK: a pipe of that name would be waited for.
        fd = os.open(FOLDER / plain, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidArgumentError(f"Unable to open shared memory region: '{key}': {reason}") from None
    try:
        _check_object(name, key, fd, offset + byte_size)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_object(name: str, key: str, fd: int, end: int) -> None:
    status = os.fstat(fd)
    if not S_ISREG(status.st_mode):
        raise InvalidArgumentError(f"Unable to open shared memory region: '{key}': it is no shared memory object")
    if end > status.st_size:
        raise _invalid(name, f"offset + byte_size is {end}, but the object '{key}' has {status.st_size} bytes")


def _invalid(name: str, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"failed to register shared memory region '{name}': invalid args: {why}")
