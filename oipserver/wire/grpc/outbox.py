"""A bounded queue from the event loop to one thread; knows nothing of what is in it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Outbox(Generic[T]):
    """Coroutines ``put`` and wait while ``limit`` items lie here; a thread iterates until ``close`` was called."""

    def __init__(self, limit: int) -> None:
        self._items: SimpleQueue[T | None] = SimpleQueue()
        self._room = limit
        self._lock = Lock()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def put(self, item: T) -> None:
        """Add an item; waits while there is no room. On the loop alone."""
        while not self._take_room():
            self._loop = loop = asyncio.get_running_loop()
            waiter = loop.create_future()
            self._waiters.append(waiter)
            if self._room:  # it came free before anybody could know of the waiter
                self._wake()
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()
                raise
        self._items.put(item)

    def close(self) -> None:
        """Nothing more comes: the thread stops behind what is here. From any thread."""
        self._items.put(None)

    def __iter__(self) -> Iterator[T]:
        while (item := self._items.get()) is not None:
            with self._lock:
                self._room += 1
            loop = self._loop
            if self._waiters and loop is not None:
                with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
                    loop.call_soon_threadsafe(self._wake)
            yield item

    def _take_room(self) -> bool:
        with self._lock:
            if self._room:
                self._room -= 1
                return True
            return False

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
