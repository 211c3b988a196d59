"""What is awaited of one request of a model: answers from whichever thread, to one reader on the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from threading import Condition, get_ident

from oipserver.errors import InternalError, OIPError
from oipserver.protocol import InferResponse

MAX_UNREAD = 256  # answers of one request that its reader has not taken; who sends more waits


class Ticket:
    """The way back of one request. Answers come in by ``put`` and ``close``; ``next`` takes them out on the loop."""

    def __init__(self, model: str, loop: asyncio.AbstractEventLoop) -> None:
        self._model = model
        self._loop = loop
        self._loop_thread = get_ident()
        self._room = Condition()
        self._items: deque[InferResponse | OIPError | None] = deque()
        self._wake: asyncio.Future[None] | None = None
        self.closed = False  # nothing more comes
        self.cancelled = False  # nobody wants it any more

    def put(self, item: InferResponse | OIPError | None, *, last: bool = False) -> bool:
        """Hand over an answer, an error that ends them, or None for an end without another answer; any thread.

        Waits while too many are unread. False where the end was there before.
        """
        with self._room:
            if self.closed:
                return False
            self.closed = last or item is None or isinstance(item, OIPError)
            while len(self._items) >= MAX_UNREAD and not self.cancelled and get_ident() != self._loop_thread:
                self._room.wait()
            if not self.cancelled:
                self._items.append(item)
                self._tell()
        return True

    def settle(self) -> None:
        """Its request was answered in another way."""
        with self._room:
            self.closed = True

    def lost(self) -> None:
        """Whoever could have answered is gone."""
        self.put(InternalError(f"model '{self._model}' let a request go without its final response"))

    def cancel(self) -> None:
        """Nobody reads any more."""
        with self._room:
            self.cancelled = True
            self._items.clear()
            self._room.notify_all()

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the loop is closed, and gone is the reader
            self._loop.call_soon_threadsafe(self._woken)

    def _woken(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def next(self) -> InferResponse | None:
        """The next answer; None at the end. Raises OIPError."""
        while not self._items:
            self._wake = self._loop.create_future()
            await self._wake
        with self._room:
            item = self._items.popleft()
            self._room.notify_all()
        if isinstance(item, OIPError):
            try:
                raise item
            finally:
                del item  # its traceback refers to this frame: a cycle would keep what the request holds
        return item
