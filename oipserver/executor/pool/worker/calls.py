"""Calls of models in a worker: from a request frame to the answer's, and everything that is held in between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from ....errors import Code, InternalError, OIPError
from ....protocol import InferRequest, InferResponse
from ....telemetry.context import model_context
from .. import messages
from ..frames import FrameError, Kind, encode
from ..memory import SharedMemory
from ..messages import Cost
from .lease import Credit, Lease
from .line import QUICK, Line, Waiting
from .loaded import LoadedModel
from .meter import metered
from .outbox import Outbox

_log = logging.getLogger(__name__)

Reply = tuple[Kind, list[Any], Sequence[bytes | memoryview]]  # kind, metadata and inline data of a frame


class Calls:
    """Runs calls: those of a model with the fast path one after another in the loop's own thread, all others as tasks.

    Answers of quick calls wait for each other and are sent together, unless a call may not be run again: it is answered
    before the next one begins, so that nothing the next one does can make it look unfinished.
    """

    def __init__(self, memory: SharedMemory, outbox: Outbox, loop: asyncio.AbstractEventLoop) -> None:
        self.models: dict[int, LoadedModel] = {}
        self.retry = False  # whether the server runs a call again whose worker died
        self._line = Line(loop, self._run_waiting, self._settle)
        self._unsettled: list[int] = []  # entries on the board of calls whose answers may not have been sent
        self._memory = memory
        self._outbox = outbox
        self._loop = loop
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._credits: dict[int, Credit] = {}
        self._late: dict[int, Lease] = {}  # answered calls whose data a model keeps

    # -- frames --------------------------------------------------------------------------------------------------

    def infer(self, id_: int, meta: Any, inline: memoryview) -> None:
        """A request with one answer."""
        model, lease = self._model(id_, meta[0])
        if model is None:
            return
        request = self._request(id_, model, meta[1], inline, lease)
        if request is None:
            return
        if model.face.fast and model.threads is None:
            self._line.add(Waiting(id_, model, request, lease))
        else:
            self._start(id_, model, lease, partial(self._infer, id_, model, request))

    def stream(self, id_: int, meta: Any, inline: memoryview) -> None:
        """A request answered in parts."""
        model, lease = self._model(id_, meta[0])
        if model is not None:
            request = self._request(id_, model, meta[1], inline, lease)
            if request is None:
                return
            credit = self._credits[id_] = Credit(meta[2])
            self._start(id_, model, lease, partial(self._stream, id_, model, credit, request))

    def handler(self, id_: int, meta: Any, inline: memoryview) -> None:
        """A call of a custom handler."""
        model, lease = self._model(id_, meta[0])
        if model is not None:
            request = messages.read_handler_request(meta[1], inline, self._memory.requests, lease.hold)
            self._start(id_, model, lease, lambda: self._handler(model, request))

    def cancel(self, id_: int, _: Any, __: memoryview) -> None:
        """Nobody waits for this call any more: stop it where that is possible."""
        task = self._tasks.get(id_)
        if task is not None:
            task.cancel()
        elif (waiting := self._line.remove(id_)) is not None:
            self._cancelled(waiting)

    def credit(self, id_: int, parts: Any, _: memoryview) -> None:
        """The reader of a stream is ready for so many more parts."""
        credit = self._credits.get(id_)
        if credit is not None:
            credit.add(parts)

    def release(self, _: int, starts: Any, __: memoryview) -> None:
        """The server has used up the answers that lie there."""
        for start in starts:
            self._memory.answers.free(start)

    async def end_of(self, model: LoadedModel) -> None:
        """Stop what still runs of a model that is leaving; its callers have gone before."""
        for waiting in self._line.of(model):
            self._line.remove(waiting.id)
            self._cancelled(waiting)
        tasks = list(model.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- running -------------------------------------------------------------------------------------------------

    def _model(self, id_: int, key: int) -> tuple[LoadedModel | None, Lease]:
        lease = Lease(partial(self._let_go, id_))
        model = self.models.get(key)
        if model is None:
            self._reply(id_, lease, *_error(Code.UNAVAILABLE, "the model is not loaded in this worker"))
        elif not self._memory.board.vacant:
            self._reply(id_, lease, *_too_many())
            model = None
        return model, lease

    def _request(
        self, id_: int, model: LoadedModel, meta: Any, inline: memoryview, lease: Lease
    ) -> InferRequest | None:
        """The request, or None where it cannot be read: that fails this call and not the worker."""
        half, name, version = self._memory.requests, model.settings.name, model.settings.version
        try:
            return messages.read_request(meta, inline, half, lease.hold, name, version)
        except FrameError as error:
            reply = _error(Code.INTERNAL, f"model '{name}': the request did not survive the way to its worker: {error}")
        self._reply(id_, lease, *reply)
        return None

    def run_waiting(self) -> None:
        """Run what was received and waits for this thread."""
        self._line.move()

    def _run_waiting(self, call: Waiting, taken: int) -> None:
        model, request = call.model, call.request
        call.request = None
        board = self._memory.board
        if not board.vacant or request is None:
            self._reply(call.id, call.lease, *_too_many())
            return
        self._unsettled.append(board.begin(call.id))
        reply = self._run_now(model, request, taken)
        del request
        self._reply(call.id, call.lease, *reply, later=True)
        if model.longest > QUICK or model.settings.stateful or not self.retry:
            self._settle()

    def _settle(self) -> None:
        """Send the answers that wait, and strike their calls out."""
        self._outbox.flush()
        while self._unsettled:
            self._memory.board.end(self._unsettled.pop())

    def _cancelled(self, call: Waiting) -> None:
        call.request = None
        self._reply(call.id, call.lease, *_error(Code.CANCELLED, "the call was cancelled"))

    def _run_now(self, model: LoadedModel, request: InferRequest, taken: int) -> Reply:
        try:
            with model_context(model.settings.name, model.settings.version):
                response = model.host.infer_now(request)
            timings = response.timings
            assert timings is not None, "the host stamps every response"
            timings.dispatched = taken
            busy = timings.infer_end - timings.infer_start
            model.took(busy)
            return self._answer(Kind.RESULT, response, Cost(busy))
        except BaseException as error:
            return _failure(model, error)

    def _start(
        self,
        id_: int,
        model: LoadedModel,
        lease: Lease,
        work: Callable[[], Coroutine[Any, Any, Reply]],
    ) -> None:
        task = self._loop.create_task(self._run(id_, model, lease, work))
        self._tasks[id_] = task
        model.tasks.add(task)
        task.add_done_callback(partial(self._finished, id_, model, lease))

    async def _run(
        self,
        id_: int,
        model: LoadedModel,
        lease: Lease,
        work: Callable[[], Awaitable[Reply]],
    ) -> None:
        entry = self._memory.board.begin(id_)
        try:
            with model_context(model.settings.name, model.settings.version):
                try:
                    reply = await work()
                except asyncio.CancelledError:
                    raise
                except BaseException as error:
                    reply = _failure(model, error)
            del work  # it holds the request
            self._reply(id_, lease, *reply)
        finally:
            self._memory.board.end(entry)

    def _finished(self, id_: int, model: LoadedModel, lease: Lease, task: asyncio.Task[None]) -> None:
        del self._tasks[id_]
        model.tasks.discard(task)
        self._credits.pop(id_, None)
        if task.cancelled():
            self._reply(id_, lease, *_error(Code.CANCELLED, "the call was cancelled"))
        elif (error := task.exception()) is not None:
            _log.error("a call of model '%s' was lost", model.settings.name, exc_info=error)
            self._reply(id_, lease, *_failure(model, error))

    async def _infer(self, id_: int, model: LoadedModel, request: InferRequest) -> Reply:
        cost = Cost()
        if model.threads is not None:
            response = await self._loop.run_in_executor(model.threads, model.host.infer_now, request)
        else:
            response = await metered(model.host.infer(request), cost)
        return self._answer(Kind.RESULT, response, cost)

    async def _stream(self, id_: int, model: LoadedModel, credit: Credit, request: InferRequest) -> Reply:
        answers = model.host.stream(request)
        del request
        async with aclosing(answers):
            async for response in answers:
                await credit.take()
                self._outbox.send(self._frame(id_, *self._answer(Kind.PART, response, Cost())))
                del response
                await asyncio.sleep(0)  # let a CANCEL be read, however eagerly the model produces
        return Kind.END, [False], ()

    async def _handler(self, model: LoadedModel, request: Any) -> Reply:
        response = await model.host.call_handler(request)
        block = messages.place([messages.body_tensor(response.body)], self._memory.answers)
        return Kind.RESULT, messages.write_handler_response(response, block), block.inline

    # -- answers -------------------------------------------------------------------------------------------------

    def _answer(self, kind: Kind, response: InferResponse, cost: Cost) -> Reply:
        block = messages.place(response.outputs, self._memory.answers)
        return kind, messages.write_response(response, block, cost), block.inline

    def _frame(self, id_: int, kind: Kind, meta: list[Any], inline: Sequence[bytes | memoryview]) -> bytes:
        """A frame of an answer. Raises InternalError where the answer's metadata cannot be sent."""
        try:
            return encode(kind, id_, meta, *inline)
        except (TypeError, ValueError) as error:
            start = meta[1][0]
            if start >= 0:
                self._memory.answers.free(start)
            raise InternalError(f"the model's answer cannot be sent: {error}") from None

    def _reply(
        self,
        id_: int,
        lease: Lease,
        kind: Kind,
        meta: list[Any],
        inline: Sequence[bytes | memoryview],
        *,
        later: bool = False,
    ) -> None:
        """Send the last frame of a call. Its first item tells whether the request's data is free again."""
        held = lease.held
        meta[0] = not held
        try:
            frame = self._frame(id_, kind, meta, inline)
        except InternalError as error:
            frame = encode(Kind.ERROR, id_, [not held, error.code.value, error.message, None, None])
        if later:
            self._outbox.put(frame)
        else:
            self._outbox.send(frame)
        if held:
            self._late[id_] = lease
            lease.watch()

    def _let_go(self, id_: int) -> None:
        if self._late.pop(id_, None) is not None:
            self._outbox.post(encode(Kind.RELEASE, id_))


def _error(code: Code, message: str, retry_after: float | None = None, status_code: int | None = None) -> Reply:
    return Kind.ERROR, [True, code.value, message, retry_after, status_code], ()


def _too_many() -> Reply:
    return _error(Code.RESOURCE_EXHAUSTED, "this worker executes too many calls; try later")


def _failure(model: LoadedModel, error: BaseException) -> Reply:
    if isinstance(error, OIPError):
        return _error(error.code, error.message, error.retry_after, error.status_code)
    name = model.settings.name
    _log.error("an answer of model '%s' could not be used", name, exc_info=error)
    return _error(Code.INTERNAL, f"model '{name}' failed: {type(error).__name__}: {error}")
