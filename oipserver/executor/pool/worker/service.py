"""The worker's loop: reads frames, loads and unloads models, and hands calls to them."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson

from ....errors import Code, OIPError
from ....runtime import ModelHost
from ....settings import ModelSettings
from ...threads import ModelThreads
from ..frames import FrameError, FrameReader, Kind, encode, split
from ..memory import SharedMemory
from .calls import Calls
from .loaded import LoadedModel
from .logs import send_logs, send_metrics
from .outbox import Outbox
from .peers import ServerCaller
from .pulse import Pulse

_log = logging.getLogger(__name__)


class WorkerService:
    """Answers the frames of one server until it says SHUTDOWN or goes away."""

    def __init__(
        self, sock: socket.socket, memory: SharedMemory, outbox: Outbox, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._socket = sock
        self._memory = memory
        self._outbox = outbox
        self._loop = loop
        self._reader = FrameReader()
        self._calls = Calls(memory, outbox, loop)
        self._peers = ServerCaller(memory, outbox)
        self._loads: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._over: asyncio.Future[None] = loop.create_future()
        self._handlers: dict[int, Callable[[int, Any, memoryview], None]] = {
            Kind.CONFIG: self._configure,
            Kind.LOAD: self._load,
            Kind.UNLOAD: self._unload,
            Kind.INFER: self._calls.infer,
            Kind.INFER_ALL: self._calls.infer_all,
            Kind.STREAM: self._calls.stream,
            Kind.HANDLER: self._calls.handler,
            Kind.CANCEL: self._calls.cancel,
            Kind.CREDIT: self._calls.credit,
            Kind.RELEASE: self._calls.release,
            Kind.SHUTDOWN: self._shutdown,
            Kind.ANSWER: self._peers.answer,
            Kind.ANSWER_END: self._peers.end,
            Kind.ANSWER_ERROR: self._peers.error,
        }

    async def run(self) -> None:
        """Serve until it is over. Raises FrameError where the server sends nonsense."""
        self._loop.add_reader(self._socket, self._readable)
        try:
            await self._over
        finally:
            self._loop.remove_reader(self._socket)

    def _readable(self) -> None:
        try:
            count = self._socket.recv_into(self._reader.space(), 0, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            count = 0
        if count == 0:
            self._end()
            return
        try:
            for kind, id_, body in self._reader.received(count):
                handler = self._handlers.get(kind)
                if handler is None:
                    raise FrameError(f"a frame of unknown kind {kind}")
                meta, inline = split(body)
                handler(id_, meta, inline)
            self._calls.run_waiting()
        except BaseException as error:
            if not self._over.done():
                self._over.set_exception(error)

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    # -- frames about the worker itself --------------------------------------------------------------------------

    def _configure(self, _: int, meta: Any, __: memoryview) -> None:
        sys.path[:] = [*meta["path"], *(entry for entry in sys.path if entry not in meta["path"])]
        send_logs(self._outbox, meta["log_levels"])
        send_metrics(self._outbox)
        self._calls.retry = meta["retry"]
        self._beat()
        Pulse(self._socket, meta["beat"], self._beat, self._loop).start()

    def _beat(self) -> None:
        self._memory.board.beat()
        self._memory.answers.trim()

    def _shutdown(self, _: int, __: Any, ___: memoryview) -> None:
        self._spawn(self._unload_all())

    async def _unload_all(self) -> None:
        await asyncio.gather(*(self._remove(key) for key in set(self._loads) | set(self._calls.models)))
        self._end()

    # -- frames about models -------------------------------------------------------------------------------------

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _load(self, key: int, meta: Any, _: memoryview) -> None:
        self._loads[key] = self._spawn(self._load_model(key, *meta))

    async def _load_model(self, key: int, plain: dict[str, Any], source: str | None) -> None:
        host: ModelHost | None = None
        try:
            settings = ModelSettings.model_validate(plain)
            settings._source = source
            host = ModelHost(settings, self._peers)
            face = await host.load()
            # Through JSON and back here, where a model's odd metadata is the model's fault.
            options = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
            loaded = encode(Kind.LOADED, key, orjson.Fragment(orjson.dumps(face, default=str, option=options)))
            threads = ModelThreads(face.instances) if face.fast and face.instances > 1 else None
            self._calls.models[key] = LoadedModel(host, face, settings, threads)
            self._outbox.send(loaded)
        except OIPError as error:
            self._failed(key, error.code, error.message)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            _log.exception("model '%s' failed to load", plain.get("name"))
            name, what = plain.get("name"), f"{type(error).__name__}: {error}"
            self._failed(key, Code.INTERNAL, f"model '{name}' failed to load: {what}")
        finally:
            self._loads.pop(key, None)
            if host is not None and key not in self._calls.models:
                await host.unload()

    def _failed(self, key: int, code: Code, message: str) -> None:
        self._outbox.send(encode(Kind.FAILED, key, (code.value, message)))

    def _unload(self, key: int, _: Any, __: memoryview) -> None:
        self._spawn(self._unload_model(key))

    async def _unload_model(self, key: int) -> None:
        await self._remove(key)
        self._outbox.send(encode(Kind.UNLOADED, key))

    async def _remove(self, key: int) -> None:
        load = self._loads.get(key)
        if load is not None:
            load.cancel()
            with suppress(asyncio.CancelledError):
                await load
        model = self._calls.models.pop(key, None)
        if model is not None:
            await self._calls.end_of(model)
            if model.threads is not None:
                await model.threads.stop()
            await model.host.unload()
