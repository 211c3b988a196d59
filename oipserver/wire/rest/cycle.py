"""One inference request on a connection, from its headers to its answer; knows no transport."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from ...tensor.tensor import Buffer
from .head import Head
from .pending import PendingReply
from .reply import Reply

_ALIGNMENT = 64  # of the binary data behind the JSON of a large body: what vector instructions and devices like best


class _NobodyWaits:
    """Stands where uvicorn keeps the event its application waits on."""

    def set(self) -> None:
        """Nobody waits for it."""


class InferCycle(RequestResponseCycle):
    """Takes the place of uvicorn's cycle in its connection and its pipeline.

    ``active`` is whether every earlier request of the connection has been answered, ``more_body`` whether some of the
    body is still to come, ``refusal`` the answer to a body that is not going to be read.
    """

    message_event: Any = _NobodyWaits()
    disconnected = False
    response_started = False
    response_complete = False
    active = False
    more_body = True
    task: asyncio.Future[Any] | PendingReply | None = None
    started = 0.0
    chunks = 0
    refusal: Reply | None = None

    def __init__(self, head: Head, *, keep_alive: bool = True, expects: bool = False) -> None:
        """uvicorn's own constructor is left out: it prepares what only its application needs."""
        self.head = head
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = expects
        self.received = 0
        self.parts: list[bytes] = []
        self.room: memoryview | None = None

    @property
    def plain(self) -> bool:
        """Whether it came whole and in one piece, and nothing but its head and the length of its body tells how."""
        return self.keep_alive and not (
            self.more_body or self.waiting_for_100_continue or self.chunks or self.refusal is not None
        )

    def make_room(self, size: int) -> None:
        """Have the body, ``size`` bytes, received into one piece of memory. Raises MemoryError."""
        header = self.head.headers.form.get(b"inference-header-content-length", b"")
        json_size = int(header) if header.isdigit() and len(header) < 20 else 0
        memory = np.empty(size + _ALIGNMENT, np.uint8)
        shift = -(memory.ctypes.data + json_size) % _ALIGNMENT
        self.room = memory.data[shift : shift + size]

    def add(self, piece: bytes) -> None:
        """Take a piece of the body."""
        start = self.received
        self.received = end = start + len(piece)
        if self.room is None:
            self.parts.append(piece)
        else:
            self.room[start:end] = piece

    def take_body(self) -> Buffer:
        """The whole body; it is let go here, so that nobody but the request holds it."""
        body: Buffer
        if self.room is not None:
            body, self.room = self.room, None
        elif len(self.parts) == 1:
            body = self.parts[0]
        else:
            body = b"".join(self.parts)
        self.parts = []
        return body
