"""The server's end of the socket to a worker: frames in, frames out, never waiting; knows no call and no model."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from itertools import islice

from .frames import FrameError, FrameReader

_MAX_BUFFERS = 64  # per sendmsg


class Channel:
    """Reads frames as they come and writes what was sent during one turn of the loop with one system call.

    ``on_frame`` gets kind, id and body (valid during the call); ``on_broken`` is called once, with the reason, when the
    other side breaks the protocol. The end of the stream is not reported: the process behind it is watched instead.
    """

    def __init__(
        self,
        sock: socket.socket,
        on_frame: Callable[[int, int, memoryview], None],
        on_broken: Callable[[str], None],
    ) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._on_frame = on_frame
        self._on_broken = on_broken
        self._reader = FrameReader()
        self._outgoing: deque[bytes | memoryview] = deque()
        self._flushing = False  # a flush is scheduled, or waits for the socket
        self.broken = False  # whether the other side broke the protocol: what came after that was not read
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._readable)

    @property
    def unsent(self) -> int:
        """Frames that wait for the socket."""
        return len(self._outgoing)

    def send(self, frame: bytes) -> None:
        """Send a frame at the end of this turn of the loop, together with others."""
        self._outgoing.append(frame)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        outgoing = self._outgoing
        while outgoing and not self._closed:
            try:
                sent = self._socket.send(outgoing[0]) if len(outgoing) == 1 else self._socket.sendmsg(self._first())
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self._socket, self._writable)
                return
            except OSError:  # the worker is gone: its process will tell
                outgoing.clear()
                break
            self._forget(sent)
        self._flushing = False

    def _first(self) -> list[bytes | memoryview]:
        return [*islice(self._outgoing, _MAX_BUFFERS)]

    def _forget(self, sent: int) -> None:
        outgoing = self._outgoing
        while sent:
            first = outgoing.popleft()
            if sent < len(first):
                outgoing.appendleft(memoryview(first)[sent:])
                return
            sent -= len(first)

    def _writable(self) -> None:
        self._loop.remove_writer(self._socket)
        self._flush()

    def _readable(self) -> None:
        """Read once: what is left makes the socket readable again, after the others had their turn."""
        self._read()

    def _read(self) -> int:
        try:
            count = self._socket.recv_into(self._reader.space())
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            count = 0
        if count == 0:
            self._stop_reading()
            return 0
        try:
            for kind, id_, body in self._reader.received(count):
                self._on_frame(kind, id_, body)
        except FrameError as error:
            self._break(str(error))
            return 0
        return count

    def _break(self, reason: str) -> None:
        self.broken = True
        self._outgoing.clear()
        self._stop_reading()
        self._on_broken(reason)

    def _stop_reading(self) -> None:
        self._loop.remove_reader(self._socket)

    def drain(self) -> None:
        """Read all that a worker that has ended had still sent."""
        while not self.broken and self._read():
            pass

    def close(self) -> None:
        """Let go of the socket."""
        self._closed = True
        self._outgoing.clear()
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._on_frame = self._on_broken = _nobody  # whoever holds this channel is not to be held by it


def _nobody(*_: object) -> None:
    """Who is told once nobody listens."""
