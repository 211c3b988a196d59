"""Answers that lie in a worker's shared memory, and telling it when nobody looks at one any more; knows no call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any
from weakref import KeyedRef

import numpy as np

from .frames import FrameError, Kind, encode


class Answers:
    """Watches the arrays over answers in shared memory: the space of one is the worker's again when the last view of it
    is gone, in whichever thread that happens."""

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Callable[[bytes], None]) -> None:
        self._loop = loop
        self._send = send
        self._held: dict[int, KeyedRef[int, Any]] = {}  # by where they start
        self._used_up: deque[int] = deque()
        self._closed = False

    @property
    def held(self) -> int:
        """Answers that are in use."""
        return len(self._held)

    def hold(self, root: np.ndarray[Any, Any], start: int) -> None:
        """Watch ``root``, over the answer at ``start``. Raises FrameError where another one still is."""
        if start in self._held:
            raise FrameError(f"an answer at {start}, where another one still is")
        self._held[start] = KeyedRef(root, self._gone, start)

    def _gone(self, ref: KeyedRef[int, Any]) -> None:
        self._used_up.append(ref.key)
        if not self._closed:
            try:
                self._loop.call_soon_threadsafe(self.send)
            except RuntimeError:  # the loop is closed, and with it all workers
                self._closed = True

    def use_up(self, start: int) -> None:
        """Nobody wants the answer at ``start``."""
        self._used_up.append(start)
        self.send()

    def send(self) -> None:
        """Tell the worker what was used up."""
        if not self._used_up or self._closed:
            return
        starts = [self._used_up.popleft() for _ in range(len(self._used_up))]
        for start in starts:
            self._held.pop(start, None)
        self._send(encode(Kind.RELEASE, 0, starts))

    def close(self) -> None:
        """The worker is gone; views that are still held stay what they are."""
        self._closed = True
        self._held.clear()
