"""A gRPC server over real planes, on an event loop in a thread of its own, for clients that block."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any

import grpc

from oipserver.executor.pool import PoolManager
from oipserver.plane import ControlPlane, DataPlane, TraceControl
from oipserver.protocol import ServerMetadata
from oipserver.registry import ModelRegistry, ServableBuilder
from oipserver.repository import ModelRepository, Scan
from oipserver.settings import ModelSettings, Settings
from oipserver.wire.grpc import GrpcServer

MODELS = __name__.rpartition(".")[0] + ".served_models."


class Shelf(ModelRepository):
    """A repository of settings."""

    def __init__(self, models: dict[str, ModelSettings]) -> None:
        self.models = models

    async def scan(self) -> Scan:
        return Scan(list(self.models.values()))

    async def find(self, name: str) -> list[ModelSettings]:
        return [self.models[name]] if name in self.models else []


class Ready:
    """Whether the server is ready; set from any thread, it tells those who listen."""

    def __init__(self, changed: Callable[[], object]) -> None:
        self._changed = changed
        self._ready = True

    @property
    def ready(self) -> bool:
        return self._ready

    @ready.setter
    def ready(self, ready: bool) -> None:
        self._ready = ready
        self._changed()

    def __call__(self) -> bool:
        return self._ready


@dataclass
class Served:
    """A running server, and the parts a test may want to turn."""

    server: GrpcServer
    registry: ModelRegistry
    readiness: Ready
    loop: asyncio.AbstractEventLoop
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def run(self, work: Any) -> Any:
        """Run a coroutine on the server's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    @contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(self.address, options) as channel:
            yield channel


@contextmanager
def serving(models: dict[str, str], observer: Any = None, **settings: Any) -> Iterator[Served]:
    """Serve ``models``, names to class names in ``served_models``; all of them are also in the repository."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    served: Served | None = None
    try:
        served = asyncio.run_coroutine_threadsafe(_start(loop, models, observer, settings), loop).result(30)
        yield served
    finally:
        if served is not None:
            served.run(served.server.stop(5))
            served.run(served.registry.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _start(
    loop: asyncio.AbstractEventLoop, models: dict[str, str], observer: Any, options: dict[str, Any]
) -> Served:
    settings = Settings(**{"host": "127.0.0.1", "grpc_port": 0, "parallel_workers": 0, **options})
    shelf = {name: ModelSettings(name=name, implementation=MODELS + kind) for name, kind in models.items()}
    registry = ModelRegistry(ServableBuilder(settings, PoolManager(settings)))
    for name, model in shelf.items():
        await registry.load(name, [model])
    readiness = Ready(lambda: loop.call_soon_threadsafe(registry.readiness.changed))
    data = DataPlane(registry, ServerMetadata("oipserver", "1.2.3", ("model_repository",)), readiness)
    control, trace = ControlPlane(registry, Shelf(shelf), "auto"), TraceControl(data, settings)
    server = GrpcServer(data, control, settings, observer=observer, trace=trace)
    return Served(server, registry, readiness, loop, await server.start())
