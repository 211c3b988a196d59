"""What bounds a call in a worker: its request's shared memory while a model keeps it, and the parts of its stream."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np


class Lease:
    """Knows whether anything still refers to a request's data in shared memory.

    A model may keep an input for as long as it likes: the memory is not used again before it lets go.
    """

    __slots__ = ("_on_late", "_ref", "held", "late")

    def __init__(self, on_late: Callable[[], None]) -> None:
        self._on_late = on_late
        self._ref: weakref.ref[Any] | None = None
        self.held = False
        self.late = False

    def hold(self, root: np.ndarray[Any, Any], _: int) -> None:
        """Watch ``root``, which every view of the data keeps alive."""
        self.held = True
        self._ref = weakref.ref(root, self._gone)

    def _gone(self, _: object) -> None:
        self.held = False
        if self.late:
            self._on_late()

    def watch(self) -> None:
        """Tell when it is let go, the answer having been sent before."""
        self.late = True
        if not self.held:
            self._on_late()


class Credit:
    """How many parts of a stream may still be sent before the reader has read some."""

    def __init__(self, parts: int) -> None:
        self._parts = parts
        self._more = asyncio.Event()

    def add(self, parts: int) -> None:
        """Allow so many more."""
        self._parts += parts
        self._more.set()

    async def take(self) -> None:
        """Use one, waiting for it."""
        while not self._parts:
            self._more.clear()
            await self._more.wait()
        self._parts -= 1
