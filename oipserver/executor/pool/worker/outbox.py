"""The worker's sending side: frames from any thread, in order, even from a thread that is already sending."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections import deque
from threading import Lock

_MOST_TOGETHER = 64  # frames per system call


class Outbox:
    """Sends frames, waiting while the socket is full: a worker that is not read has nothing better to do."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._socket = sock
        self._loop = loop
        self._frames: deque[bytes] = deque()
        self._sending = Lock()
        self._room = select.poll()
        self._room.register(sock, select.POLLOUT)

    def send(self, frame: bytes) -> None:
        """Send a frame now, or leave it to the thread that is sending already."""
        self._frames.append(frame)
        self.flush()

    def put(self, frame: bytes) -> None:
        """Have a frame sent with the next one, or by ``flush``."""
        self._frames.append(frame)

    def _send_next(self) -> None:
        frames = self._frames
        first = frames.popleft()
        if frames:
            more = [first, *(frames.popleft() for _ in range(min(len(frames), _MOST_TOGETHER - 1)))]
            self._send_all(memoryview(b"".join(more)))
        else:
            self._send_all(memoryview(first))

    def _send_all(self, rest: memoryview) -> None:
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:  # the loop that reads it may have made it so
                self._room.poll()

    def post(self, frame: bytes) -> None:
        """Send a frame soon; may be called from a finaliser, wherever it happens to run."""
        self._frames.append(frame)
        self._loop.call_soon_threadsafe(self.flush)

    def flush(self) -> None:
        """Send what was put there, or leave it to the thread that is sending already."""
        # Whoever holds the lock sends everything; whoever finds it taken may go, since the holder looks again after
        # giving it back. A finaliser or log line in the middle of a send thus cannot wait for itself.
        while self._frames and self._sending.acquire(blocking=False):
            try:
                while self._frames:
                    self._send_next()
            except OSError:
                os._exit(1)  # the server is gone
            finally:
                self._sending.release()
