"""Closes a connection whose client neither speaks nor reads when it is its turn; knows transports, no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class IdleWatch:
    """One timer for a connection's whole life, looking again only when its time could have come.

    ``turn`` tells whether the server waits for the client to send; ``stuck`` whether it waits for it to read.
    """

    __slots__ = ("_heard", "_limit", "_loop", "_stuck", "_timer", "_transport", "_turn", "_unsent")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        limit: float,
        turn: Callable[[], bool],
        stuck: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._limit = limit
        self._turn = turn
        self._stuck = stuck
        self._heard = loop.time()
        self._unsent = 0
        self._timer = loop.call_later(limit, self._look)

    def heard(self) -> None:
        """The client sent something, or has just been answered."""
        self._heard = self._loop.time()

    def stop(self) -> None:
        """The connection is gone."""
        self._timer.cancel()

    def _look(self) -> None:
        wait = self._heard + self._limit - self._loop.time()
        if self._stuck():
            unsent = self._transport.get_write_buffer_size()
            if wait <= 0 and unsent == self._unsent:
                self._transport.abort()
                return
            self._unsent = unsent
        elif wait <= 0 and self._turn():
            self._transport.close()
            return
        self._timer = self._loop.call_later(wait if wait > 0 else self._limit, self._look)
