"""Shared memory of one worker: its mapping, the allocator of each half, and the board; knows no frame and no tensor.

The server creates it as an anonymous memory file, so that no name exists anywhere and the kernel frees it when the last
process that maps it is gone, however it went. The file is sparse: its size is what may be used, not what is used. It is
sealed, so that a worker cannot shrink it under the server's feet.

Layout: the board, then a half for requests (the server allocates), then one for answers (the worker allocates).
"""

from __future__ import annotations

import fcntl
import os
from bisect import bisect_left, insort
from mmap import MADV_DONTDUMP, MADV_REMOVE, PAGESIZE, mmap
from struct import Struct
from time import monotonic_ns
from typing import Any

import numpy as np

_WORD = Struct("<Q")
BOARD_ENTRIES = 1024  # executions a worker can have under way at once
_BOARD_BYTES = -(-(BOARD_ENTRIES + 1) * _WORD.size // PAGESIZE) * PAGESIZE
_ALIGNMENT = 64  # a cache line, and what vector instructions like
KEEP_BYTES = 64 << 20  # of each half, kept warm; above, unused memory goes back to the system
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def default_capacity() -> int:
    """Most bytes of each half: half of the machine's memory, since most of it is never touched."""
    return os.sysconf("SC_PHYS_PAGES") * PAGESIZE // 2


def aligned(size: int) -> int:
    """``size`` rounded up to where the next tensor may start."""
    return -(-size // _ALIGNMENT) * _ALIGNMENT


class SharedMemory:
    """The mapping. ``requests`` and ``answers`` are its halves; only one process allocates in each."""

    def __init__(self, fd: int) -> None:
        """Map the file behind ``fd``, which stays the caller's."""
        size = os.fstat(fd).st_size
        capacity = (size - _BOARD_BYTES) // 2
        self._map = mmap(fd, size)
        self._map.madvise(MADV_DONTDUMP)  # what callers sent has no place in a core dump
        self.board = Board(self._map)
        self.requests = Half(self._map, _BOARD_BYTES, capacity)
        self.answers = Half(self._map, _BOARD_BYTES + capacity, capacity)


def create_file(capacity: int) -> int:
    """The descriptor of a new memory file with ``capacity`` bytes in each half; the caller closes it."""
    capacity = max(PAGESIZE, capacity // PAGESIZE * PAGESIZE)
    fd = os.memfd_create("oipserver", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, _BOARD_BYTES + 2 * capacity)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


class Half:
    """One half: a first-fit allocator, lowest address first, so that the same warm pages are used again and again."""

    def __init__(self, memory: mmap, base: int, capacity: int) -> None:
        self._map = memory
        self._base = base
        self.capacity = capacity
        self._starts = [0]  # of the free ranges, ascending, never touching each other
        self._free = {0: capacity}
        self._taken: dict[int, int] = {}
        self._touched = 0  # pages below this may be backed by memory
        self._peak = 0  # highest byte in use since the last trim

    @property
    def used(self) -> int:
        """Bytes handed out."""
        return sum(self._taken.values())

    @property
    def blocks(self) -> int:
        """Ranges handed out."""
        return len(self._taken)

    def allocate(self, size: int) -> int | None:
        """The start of ``size`` free bytes (more than 0), or None where there are none."""
        size = aligned(size)
        for index, start in enumerate(self._starts):
            room = self._free[start]
            if room < size:
                continue
            del self._free[start]
            if room > size:
                self._starts[index] = start + size
                self._free[start + size] = room - size
            else:
                del self._starts[index]
            self._taken[start] = size
            self._peak = max(self._peak, start + size)
            return start
        return None

    def free(self, start: int) -> None:
        """Give back what ``allocate`` returned. Raises KeyError for anything else."""
        size = self._taken.pop(start)
        index = bisect_left(self._starts, start)
        if index < len(self._starts) and self._starts[index] == start + size:
            size += self._free.pop(self._starts.pop(index))
        if index and self._starts[index - 1] + self._free[self._starts[index - 1]] == start:
            self._free[self._starts[index - 1]] += size
        else:
            insort(self._starts, start)
            self._free[start] = size

    def trim(self) -> None:
        """Give the memory above KEEP_BYTES that was not used since the last call back to the system."""
        self._touched = max(self._touched, self._peak)
        limit = -(-max(KEEP_BYTES, self._peak) // PAGESIZE) * PAGESIZE
        if self._touched > limit:
            end = min(-(-self._touched // PAGESIZE) * PAGESIZE, self.capacity)
            self._map.madvise(MADV_REMOVE, self._base + limit, end - limit)
            self._touched = limit
        self._peak = max((start + size for start, size in self._taken.items()), default=0)

    def view(self, start: int, size: int) -> np.ndarray[Any, Any]:
        """``size`` bytes from ``start`` as an array of uint8 that everything derived from it keeps alive.

        Raises ValueError where that is not inside this half.
        """
        if start < 0 or size < 0 or start + size > self.capacity:
            raise ValueError(f"{size} bytes at {start} are outside of the shared memory ({self.capacity})")
        return np.frombuffer(self._map, np.uint8, size, self._base + start)


class Board:
    """A page the worker writes and the server reads: the worker's last sign of life, and which calls it executes now.

    It costs neither side a system call, and it can be read when the worker is stuck or dead.
    """

    def __init__(self, memory: mmap) -> None:
        self._map = memory
        self._vacant = list(range(BOARD_ENTRIES, 0, -1))

    @property
    def vacant(self) -> bool:
        """Whether another execution can be written down."""
        return bool(self._vacant)

    def beat(self) -> None:
        """Leave a sign of life."""
        _WORD.pack_into(self._map, 0, monotonic_ns())

    @property
    def last_beat(self) -> int:
        """When the last sign of life was left (``time.monotonic_ns``), 0 where there was none."""
        return int(_WORD.unpack_from(self._map)[0])

    def begin(self, call: int) -> int:
        """Write down that ``call`` (not 0) is executed from now on; returns the entry for ``end``."""
        entry = self._vacant.pop()
        _WORD.pack_into(self._map, entry * _WORD.size, call)
        return entry

    def end(self, entry: int) -> None:
        """Strike an entry out; only after its answer was sent, since an answered call is never run again."""
        _WORD.pack_into(self._map, entry * _WORD.size, 0)
        self._vacant.append(entry)

    def executing(self) -> set[int]:
        """The calls that are written down."""
        words = np.frombuffer(self._map, "<u8", BOARD_ENTRIES, _WORD.size)
        return set(words[words != 0].tolist())
