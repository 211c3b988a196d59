"""Turns a fresh interpreter into a worker: ties its life to the server's, then runs its loop until told to stop."""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import os
import platform
import signal
import socket
import sys

from .... import __version__
from ....runtime import collector
from ..frames import PROTOCOL, Kind, encode
from ..memory import SharedMemory
from .outbox import Outbox
from .service import WorkerService

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve the socket on the command line: its descriptor, that of the shared memory, and the server's pid."""
    socket_fd, memory_fd, parent = map(int, sys.argv[1:4])
    _die_with(parent)
    _leave_signals_to_the_server()
    faulthandler.enable()
    collector.relax()
    memory = SharedMemory(memory_fd)
    os.close(memory_fd)
    sock = socket.socket(fileno=socket_fd)
    os.set_inheritable(socket_fd, False)  # what a model starts must not keep the server's other end alive
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(_serve(sock, memory))


async def _serve(sock: socket.socket, memory: SharedMemory) -> None:
    loop = asyncio.get_running_loop()
    outbox = Outbox(sock, loop)
    hello = {
        "protocol": PROTOCOL,
        "version": __version__,
        "python": platform.python_version(),
        "pid": os.getpid(),
    }
    outbox.send(encode(Kind.HELLO, 0, hello))
    await WorkerService(sock, memory, outbox, loop).run()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # an environment of the user's own may lack it
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _die_with(parent: int) -> None:
    """Have the kernel end this process when the server ends, even where a model never lets go of the interpreter."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that took effect
        os._exit(1)


def _leave_signals_to_the_server() -> None:
    """A Ctrl-C or a service manager's SIGTERM reaches the whole group; only the server decides what it means.

    Handlers that do nothing instead of SIG_IGN, which the processes a model starts would inherit.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
