"""A server as a process: its loop, its signals, and its way from start to stop; knows no model."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..settings import ModelSettings, Settings
from .report import StartReport
from .server import Server

_log = logging.getLogger(__name__)

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve(settings: Settings, root: Path, announce: Callable[[StartReport], None]) -> None:
    """Start a server, ``announce`` it, and run it until SIGTERM or SIGINT. A second signal ends the process at once."""
    stopping = asyncio.Event()
    with stop_on_signals(stopping):
        await run_until(stopping, Server(settings, root), announce)


@contextmanager
def stop_on_signals(stopping: asyncio.Event) -> Iterator[None]:
    """Meanwhile, set ``stopping`` when this process is told to stop. The second time it ends at once.

    Raises ValueError or RuntimeError outside of the main thread, to which signals belong.
    """
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stopping.is_set():
            os._exit(128 + number)
        _log.info("%s: finishing what is in flight", signal.Signals(number).name)
        stopping.set()

    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in _STOP_SIGNALS:
            loop.remove_signal_handler(number)


async def run_until(
    stopping: asyncio.Event,
    server: Server,
    announce: Callable[[StartReport], None],
    models: Sequence[ModelSettings] | None = None,
) -> None:
    """Start ``server`` (see its ``start``), ``announce`` it, and stop it when ``stopping`` is set, also before that.

    Raises OIPError where it cannot start.
    """
    start = asyncio.create_task(server.start(models))
    stop = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
        if start.done():
            announce(start.result())
            await stop
        else:
            start.cancel()
            await asyncio.wait({start})
    finally:
        stop.cancel()
        await server.stop()


def run(settings: Settings, root: Path, announce: Callable[[StartReport], None]) -> None:
    """Run a server until it is told to stop. Raises OIPError where it cannot start."""
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        runner.run(serve(settings, root, announce))


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not on every platform; asyncio's own loop costs 10 to 15 % more
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
