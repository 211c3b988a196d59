"""Receives a large body straight into its memory, past the HTTP parser; knows no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class LargeBody(asyncio.BufferedProtocol):
    """Stands in for a connection's own protocol while ``room`` fills from ``start``; then calls ``full`` with it.

    Everything else that happens to the connection meanwhile goes to ``owner``.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        owner: asyncio.Protocol,
        room: memoryview,
        start: int,
        progress: Callable[[], None],
        full: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._owner = owner
        self._room = room
        self._filled = start
        self._progress = progress
        self._full = full
        _hand_over(transport, self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._room[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        self._progress()
        if self._filled == self._room.nbytes:
            _hand_over(self._transport, self._owner)
            self._full()

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.connection_lost(exc)

    def eof_received(self) -> bool | None:
        return self._owner.eof_received()

    def pause_writing(self) -> None:
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        self._owner.resume_writing()


def _hand_over(transport: asyncio.Transport, protocol: asyncio.BaseProtocol) -> None:
    """Make ``protocol`` the one that reads; how a transport reads is fixed while it reads, so it stops for that."""
    if transport.is_closing():
        return
    transport.pause_reading()
    transport.set_protocol(protocol)
    transport.resume_reading()
