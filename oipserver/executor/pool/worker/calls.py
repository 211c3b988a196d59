"""Calls of models in a worker: from a request frame to the answer's, and everything that is held in between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from functools import partial
from typing import Any

from ....errors import Code
from ....protocol import InferRequest
from ....telemetry.context import model_context
from .. import batches, messages
from ..frames import FrameError, Kind
from ..memory import SharedMemory
from ..messages import Cost
from . import replies
from .lease import Credit, Lease
from .line import HOLD, Line, Waiting
from .loaded import LoadedModel
from .meter import metered
from .outbox import Outbox
from .replies import Replies, Reply

_log = logging.getLogger(__name__)


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
        self._held_since = 0  # when the first of them began
        self._memory = memory
        self._outbox = outbox
        self._replies = Replies(memory, outbox)
        self._loop = loop
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._credits: dict[int, Credit] = {}

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

    def infer_all(self, id_: int, meta: Any, inline: memoryview) -> None:
        """Several requests for a model that takes them at once."""
        model, lease = self._model(id_, meta[0])
        if model is None:
            return
        half, name, version = self._memory.requests, model.settings.name, model.settings.version
        try:
            requests = batches.read_requests(meta[1], inline, half, lease.hold, name, version)
        except FrameError as error:
            self._replies.reply(id_, lease, *replies.unreadable(name, error))
            return
        self._start(id_, model, lease, partial(self._infer_all, model, requests))

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
        lease = self._replies.lease(id_)
        model = self.models.get(key)
        if model is None:
            self._replies.reply(id_, lease, *replies.error(Code.UNAVAILABLE, "the model is not loaded in this worker"))
        elif not self._memory.board.vacant:
            self._replies.reply(id_, lease, *replies.too_many())
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
            reply = replies.unreadable(name, error)
        self._replies.reply(id_, lease, *reply)
        return None

    def run_waiting(self) -> None:
        """Run what was received and waits for this thread."""
        self._line.move()

    def _run_waiting(self, call: Waiting, taken: int) -> None:
        model, request = call.model, call.request
        call.request = None
        board = self._memory.board
        if not board.vacant or request is None:
            self._replies.reply(call.id, call.lease, *replies.too_many())
            return
        if self._unsettled and taken - self._held_since + model.usual > HOLD:
            self._settle()
        if not self._unsettled:
            self._held_since = taken
        self._unsettled.append(board.begin(call.id))
        reply = self._run_now(model, request, taken)
        del request
        self._replies.reply(call.id, call.lease, *reply, later=True)
        if model.settings.stateful or not self.retry:
            self._settle()

    def _settle(self) -> None:
        """Send the answers that wait, and strike their calls out."""
        self._outbox.flush()
        while self._unsettled:
            self._memory.board.end(self._unsettled.pop())

    def _cancelled(self, call: Waiting) -> None:
        call.request = None
        self._replies.reply(call.id, call.lease, *replies.error(Code.CANCELLED, "the call was cancelled"))

    def _run_now(self, model: LoadedModel, request: InferRequest, taken: int) -> Reply:
        try:
            with model_context(model.settings.name, model.settings.version):
                response = model.host.infer_now(request)
            timings = response.timings
            assert timings is not None, "the host stamps every response"
            timings.dispatched = taken
            busy = timings.infer_end - timings.infer_start
            model.took(busy)
            return self._replies.answer(Kind.RESULT, response, Cost(busy))
        except BaseException as error:
            return replies.failure(model, error)

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
                    reply = replies.failure(model, error)
            del work  # it holds the request
            self._replies.reply(id_, lease, *reply)
        finally:
            self._memory.board.end(entry)

    def _finished(self, id_: int, model: LoadedModel, lease: Lease, task: asyncio.Task[None]) -> None:
        del self._tasks[id_]
        model.tasks.discard(task)
        self._credits.pop(id_, None)
        if task.cancelled():
            self._replies.reply(id_, lease, *replies.error(Code.CANCELLED, "the call was cancelled"))
        elif (error := task.exception()) is not None:
            _log.error("a call of model '%s' was lost", model.settings.name, exc_info=error)
            self._replies.reply(id_, lease, *replies.failure(model, error))

    async def _infer(self, id_: int, model: LoadedModel, request: InferRequest) -> Reply:
        cost = Cost()
        if model.threads is not None:
            response = await model.threads.run(partial(model.host.infer_now, request))
        else:
            response = await metered(model.host.infer(request), cost)
        return self._replies.answer(Kind.RESULT, response, cost)

    async def _infer_all(self, model: LoadedModel, requests: list[InferRequest]) -> Reply:
        outcomes = await model.host.infer_all(requests)
        block = messages.place(batches.outputs_of(outcomes), self._memory.answers)
        return Kind.RESULT, batches.write_outcomes(outcomes, block), block.inline

    async def _stream(self, id_: int, model: LoadedModel, credit: Credit, request: InferRequest) -> Reply:
        answers = model.host.stream(request)
        del request
        async with aclosing(answers):
            async for response in answers:
                await credit.take()
                kind, meta, inline = self._replies.answer(Kind.PART, response, Cost())
                meta.append(response.final)
                self._outbox.send(self._replies.frame(id_, kind, meta, inline))
                del response
                await asyncio.sleep(0)  # let a CANCEL be read, however eagerly the model produces
        return Kind.END, [False], ()

    async def _handler(self, model: LoadedModel, request: Any) -> Reply:
        response = await model.host.call_handler(request)
        block = messages.place([messages.body_tensor(response.body)], self._memory.answers)
        return Kind.RESULT, messages.write_handler_response(response, block), block.inline
