"""Signs of life of a worker, from a thread of its own; decides what counts as life, not what follows from its lack."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import sys
from collections.abc import Callable
from threading import Thread, get_ident
from time import monotonic_ns, process_time_ns, thread_time_ns

_BUSY_SHARE = 0.01  # of one core, over one interval


class Pulse(Thread):
    """Calls ``beat`` every ``interval`` seconds in which the worker lived, and ends the process with the server.

    The worker lives if, since the last look,
    - its event loop turned: awaiting models are then free to go on; or
    - it used the processor, in whichever thread: a long computation; or
    - the thread that runs the models is at another place of its code.
    A model that computes for minutes lives; one that waits for a lock or a socket for ever does not, and neither does
    one that never lets go of the interpreter lock, since this thread then cannot look. An endless loop that computes
    cannot be told from a long computation: the deadlines of its callers are for that.
    """

    def __init__(
        self, sock: socket.socket, interval: float, beat: Callable[[], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        """Make it in the thread that runs the models."""
        super().__init__(name="oipserver-pulse", daemon=True)
        self._fd = sock.fileno()
        self._interval = interval
        self._beat = beat
        self._loop = loop
        self._models_thread = get_ident()
        self._turned = True
        self._cpu = 0
        self._looked = 0
        self._place: tuple[int, int] = (0, 0)

    def run(self) -> None:
        poll = select.poll()
        poll.register(self._fd, 0)  # nothing but the other side's end
        while True:
            if poll.poll(self._interval * 1000):
                os._exit(1)  # the server is gone, and with it everybody who could want an answer
            if self._alive():
                self._beat()

    def _alive(self) -> bool:
        turned = self._turned
        if turned:
            self._turned = False
            try:
                self._loop.call_soon_threadsafe(self._turn)
            except RuntimeError:  # the loop is closed: the process is about to end
                return True
        now, cpu, place = monotonic_ns(), process_time_ns() - thread_time_ns(), self._where()
        computed = cpu - self._cpu > _BUSY_SHARE * (now - self._looked)
        moved = place != self._place
        self._looked, self._cpu, self._place = now, cpu, place
        return turned or computed or moved

    def _turn(self) -> None:
        self._turned = True

    def _where(self) -> tuple[int, int]:
        frame = sys._current_frames().get(self._models_thread)
        return (id(frame.f_code), frame.f_lasti) if frame is not None else (0, 0)
