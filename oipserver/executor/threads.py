"""Threads for the calls of one model, whose outcomes the event loop is told; knows no model.

concurrent.futures does the same at twice the cost: a future and two locks more for each call, which a model that takes
less than a millisecond feels.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
_Call = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class ModelThreads:
    """At most ``count`` threads, begun when they are first needed. On one event loop.

    The threads end with the process, whatever they are at: who minds calls ``stop``.
    """

    def __init__(self, count: int, name: str = "model") -> None:
        self._count = count
        self._name = name
        self._threads: list[threading.Thread] = []
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._under_way = 0

    def run(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """What ``call`` returns or raises, in a thread. Cancelled, it is not begun, or its outcome is dropped."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._under_way += 1
        if len(self._threads) < min(self._under_way, self._count):
            thread = threading.Thread(target=self._work, name=f"{self._name}_{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._calls.put((loop, future, call))
        return future

    async def stop(self) -> None:
        """Let the calls under way finish, and end the threads."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._calls.put(None)
        for thread in threads:
            await asyncio.to_thread(thread.join)

    def _work(self) -> None:
        while (taken := self._calls.get()) is not None:
            loop, future, call = taken
            result, error = None, None
            if not future.cancelled():
                try:
                    result = call()
                except BaseException as raised:
                    error = raised
            with suppress(RuntimeError):  # the loop is closed, and gone is whoever waited
                loop.call_soon_threadsafe(self._tell, future, result, error)
            del taken, loop, future, call, result, error  # nothing large is kept while there is nothing to do

    def _tell(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._under_way -= 1
        if future.done():  # cancelled
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
