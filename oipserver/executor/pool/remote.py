"""One worker process as the server sees it: its life, its memory, its models and its calls; decides nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from ... import __version__
from ...errors import Code, InvalidArgumentError, ModelLoadError, error_from_code
from ...runtime import ModelFace
from . import messages, shipped
from .answers import Answers
from .calls import Call
from .channel import Channel
from .frames import PROTOCOL, FrameError, Kind, encode, split
from .inbound import InboundCalls
from .memory import SharedMemory, create_file
from .model import PoolModel
from .order import WorkerOrder
from .owner import Owner
from .process import Process
from .promises import break_all, keep, look_at
from .states import WorkerGoneError, WorkerState, check_transition

_log = logging.getLogger(__name__)


class RemoteWorker:
    """Starts a worker process and speaks with it. Everything happens on the loop it was made on."""

    def __init__(self, order: WorkerOrder, owner: Owner) -> None:
        """Start the process. Raises OSError."""
        self._owner = owner
        self._order = order
        self.state = WorkerState.NEW
        self.reason = ""
        self.greeted = False  # whether it ever was READY
        self.calls: dict[int, Call] = {}
        self.busy_since = 0  # when it last began to have calls (time.monotonic_ns)
        loop = asyncio.get_running_loop()
        self._loop = loop
        self.hello: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[str] = loop.create_future()
        self._idle: asyncio.Future[None] | None = None
        self._loads: dict[int, tuple[PoolModel, asyncio.Future[ModelFace]]] = {}
        self._unloads: dict[int, asyncio.Future[None]] = {}
        self._kept: dict[int, int] = {}  # answered calls whose data a model keeps, and where it lies
        self._failure = ""  # why it is being killed
        self._handlers: dict[int, Callable[[int, Any, memoryview], None]] = {
            Kind.HELLO: self._on_hello,
            Kind.LOADED: self._on_loaded,
            Kind.FAILED: self._on_failed,
            Kind.UNLOADED: self._on_unloaded,
            Kind.ERROR: self._on_error,
            Kind.RELEASE: self._on_release,
            Kind.LOG: shipped.log_record,
            Kind.METRIC: shipped.metric,
        }
        self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        memory_fd = -1
        try:
            memory_fd = create_file(self._order.memory)
            self._memory = SharedMemory(memory_fd)
            descriptors = (theirs.fileno(), memory_fd)
            command = self._order.command(*descriptors)
            self._process = Process(command, self._order.environment, descriptors, self._on_exit)
        except BaseException:
            ours.close()
            self._go(WorkerState.FAILED, "could not be started")
            raise
        finally:
            theirs.close()
            if memory_fd >= 0:
                os.close(memory_fd)
        self.pid = self._process.pid
        self._channel = Channel(ours, self._on_frame, self._on_broken)
        self._answers = Answers(self._loop, self._channel.send)
        self._inbound = InboundCalls(self._owner.caller, self._memory, self._answers, self._channel.send)
        self._handlers |= self._inbound.handlers
        self._go(WorkerState.STARTING)
        self._channel.send(encode(Kind.CONFIG, 0, self._order.config()))

    def _go(self, state: WorkerState, reason: str = "") -> None:
        check_transition(self.state, state)
        self.state, self.reason = state, reason

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.state not in (WorkerState.STOPPED, WorkerState.FAILED)

    # -- models --------------------------------------------------------------------------------------------------

    async def load(self, model: PoolModel) -> ModelFace:
        """Have ``model`` loaded, once, however often it is asked. Raises OIPError or WorkerGoneError."""
        if model.key not in self._loads:
            future: asyncio.Future[ModelFace] = self._loop.create_future()
            future.add_done_callback(look_at)
            self._loads[model.key] = (model, future)
            if not self.alive:
                future.set_exception(WorkerGoneError(self.reason))
            elif self.state is not WorkerState.STARTING:
                self._send_load(model)
        return await asyncio.shield(self._loads[model.key][1])

    def _send_load(self, model: PoolModel) -> None:
        self._channel.send(encode(Kind.LOAD, model.key, (model.plain, model.source)))

    async def unload(self, model: PoolModel) -> None:
        """Have ``model`` unloaded, or its loading given up. Raises WorkerGoneError."""
        load = self._loads.pop(model.key, None)
        if load is None or not self.alive:
            return
        load[1].cancel()
        if self.state is WorkerState.STARTING:
            return
        future = self._unloads[model.key] = self._loop.create_future()
        future.add_done_callback(look_at)
        self._channel.send(encode(Kind.UNLOAD, model.key))
        await asyncio.shield(future)

    @property
    def loading(self) -> bool:
        """Whether it loads a model now."""
        return any(not future.done() for _, future in self._loads.values())

    # -- calls ---------------------------------------------------------------------------------------------------

    def send(self, call: Call) -> None:
        """Hand ``call`` over. Raises OIPError where its data cannot be; the worker is then as it was."""
        memory = self._memory.requests
        self._answers.send()  # before the call that may need the room
        try:
            block = messages.place(call.tensors(), memory)
            try:
                frame = encode(call.kind, call.id, call.meta(block), *block.inline)
            except BaseException:
                if block.start is not None:
                    memory.free(block.start)
                raise
        except (TypeError, ValueError, KeyError) as error:
            raise InvalidArgumentError(f"model '{call.model.name}': the request cannot be sent on: {error}") from None
        call.worker, call.block = self, block.start
        if not self.calls:
            self.busy_since = monotonic_ns()
        self.calls[call.id] = call
        self._channel.send(frame)

    def cancel(self, call: Call) -> None:
        """Tell that nobody waits for ``call`` any more; it is this worker's until it says that it is over."""
        self._channel.send(encode(Kind.CANCEL, call.id))

    def give_credit(self, call: Call, parts: int) -> None:
        """Let a stream send so many more parts."""
        self._channel.send(encode(Kind.CREDIT, call.id, parts))

    # -- frames --------------------------------------------------------------------------------------------------

    def _on_frame(self, kind: int, id_: int, body: memoryview) -> None:
        meta, inline = split(body)
        handler = self._handlers.get(kind)
        try:
            if handler is not None:
                handler(id_, meta, inline)
            else:
                self._on_answer(kind, id_, meta, inline)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise FrameError(f"a frame of kind {kind} that makes no sense: {type(error).__name__}: {error}") from error

    def _on_answer(self, kind: int, id_: int, meta: Any, inline: memoryview) -> None:
        call = self.calls[id_]
        if call.abandoned:
            last = kind != Kind.PART
            if kind != Kind.END and meta[1][0] >= 0:
                self._answers.use_up(meta[1][0])
        else:
            last = call.answer(kind, meta, inline, self._memory.answers, self._answers.hold)
        if last:
            self._close_call(call, released=meta[0])
            if not call.abandoned:
                call.deliver()

    def _on_error(self, id_: int, meta: Any, _: memoryview) -> None:
        released, code, message, retry_after, status_code = meta
        call = self.calls[id_]
        call.fail(error_from_code(Code(code), message, retry_after, status_code))
        self._close_call(call, released)

    def _close_call(self, call: Call, released: bool) -> None:
        del self.calls[call.id]
        call.worker = None
        if call.block is not None:
            if released:
                self._memory.requests.free(call.block)
            else:
                self._kept[call.id] = call.block
            call.block = None
        if not self.calls:
            keep(self._idle)
        self._owner.call_finished(self, call)

    def _on_release(self, id_: int, _: Any, __: memoryview) -> None:
        start = self._kept.pop(id_, None)
        if start is not None:
            self._memory.requests.free(start)

    def _on_hello(self, _: int, meta: Any, __: memoryview) -> None:
        if meta["protocol"] != PROTOCOL:
            install = f"{self._order.interpreter} -m pip install oipserver=={__version__}"
            self.kill(f"runs oipserver {meta['version']}, this server is {__version__}: {install}")
            return
        if self.greeted:
            raise FrameError("a second hello")
        self.greeted = True
        if self.state is WorkerState.STARTING:  # else it is being stopped already
            self._go(WorkerState.READY)
        self.hello.set_result(None)
        for model, _future in self._loads.values():
            self._send_load(model)

    def _on_loaded(self, key: int, meta: Any, _: memoryview) -> None:
        if key not in self._loads:
            return  # it was given up in the meantime: its UNLOAD is on the way
        face = shipped.face(meta)
        self._owner.worker_loaded(self, key, face)
        future = self._loads[key][1]
        if not future.done():
            future.set_result(face)

    def _on_failed(self, key: int, meta: Any, _: memoryview) -> None:
        if key not in self._loads:
            return
        code, message = Code(meta[0]), str(meta[1])
        error = ModelLoadError(message) if code is Code.INTERNAL else error_from_code(code, message)
        _model, future = self._loads.pop(key)
        if not future.done():
            future.set_exception(error)
        self._owner.worker_failed_to_load(self, key, error)

    def _on_unloaded(self, key: int, _: Any, __: memoryview) -> None:
        keep(self._unloads.pop(key))

    @property
    def blocks_in_use(self) -> int:
        """Requests and answers that lie in shared memory now."""
        return self._memory.requests.blocks + self._answers.held + self._inbound.blocks

    # -- life ----------------------------------------------------------------------------------------------------

    @property
    def last_sign_of_life(self) -> int:
        """When it last showed one while it had calls (``time.monotonic_ns``)."""
        return max(self._memory.board.last_beat, self.busy_since)

    def trim(self) -> None:
        """Give shared memory that was not used for a while back to the system."""
        if self.alive:
            self._memory.requests.trim()

    def kill(self, reason: str) -> None:
        """End it at once, because of ``reason``."""
        self._failure = self._failure or reason
        self._process.kill()

    async def stop(self, patience: float) -> None:
        """Let its calls finish, then have it unload its models and end; at the latest after ``patience`` seconds."""
        if not self.alive:
            return
        if self.state is not WorkerState.DRAINING:
            self._go(WorkerState.DRAINING)
        try:
            async with asyncio.timeout(patience):
                if self.calls:
                    self._idle = self._loop.create_future()
                    await self._idle
                self._channel.send(encode(Kind.SHUTDOWN, 0))
                await asyncio.shield(self.ended)
        except TimeoutError:
            self.kill(f"did not stop within {patience:g} s")
        await asyncio.shield(self.ended)

    def _on_broken(self, reason: str) -> None:
        _log.error("worker %d broke the protocol and is killed: %s", self.pid, reason)
        self.kill(f"sent {reason}")

    def _on_exit(self, how: str) -> None:
        """The process is gone: take what it had still sent, then let go of everything."""
        self._channel.drain()
        reason = f"was killed because it {self._failure}" if self._failure else how
        self._inbound.close()
        stopped = self.state is WorkerState.DRAINING
        self._go(WorkerState.STOPPED if stopped else WorkerState.FAILED, reason)
        # Answers of a worker that broke the protocol were not read: its board may have struck them out already.
        executing = set(self.calls) if self._channel.broken else self._memory.board.executing()
        calls, self.calls = list(self.calls.values()), {}
        gone = WorkerGoneError(reason)
        promises: list[asyncio.Future[Any]] = [self.hello, *self._unloads.values()]
        promises += [load for _, load in self._loads.values()]
        break_all(promises, gone)
        look_at(self.hello)
        keep(self._idle)
        self.ended.set_result(reason)
        self._let_go()
        self._owner.worker_ended(self, calls, executing)

    def _let_go(self) -> None:
        """Free memory and descriptors now: the garbage collector may not come by for long.

        Tracebacks may still refer to this object, so its memory goes by itself; answers in it that somebody still
        reads keep it as long as they need it.
        """
        self._channel.close()
        self._answers.close()
        self._handlers.clear()
        self._loads.clear()
        self._unloads.clear()
        del self._inbound, self._memory
