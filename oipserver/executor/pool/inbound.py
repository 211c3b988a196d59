"""Calls that models in one worker make of other models, as the server answers them; knows no model and no process."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Any

from ...errors import InternalError, OIPError, ResourceExhaustedError
from ...peers import Caller
from ...protocol import InferRequest, InferResponse
from . import messages
from .answers import Answers
from .calls import STREAM_CREDIT
from .frames import FrameError, Kind, encode
from .memory import SharedMemory
from .messages import Block, Cost
from .worker.lease import Credit

MAX_CALLS = 1024  # of one worker, under way at once


class InboundCalls:
    """Hands each call to ``caller`` and sends back what comes of it. A call ends with its model's wish or its worker.

    The data of a call lies in the half of the memory that the worker allocates, that of its answer in the server's: the
    worker says when it needs an answer no more.
    """

    def __init__(
        self, caller: Caller | None, memory: SharedMemory, answers: Answers, send: Callable[[bytes], None]
    ) -> None:
        self._caller = caller
        self._memory = memory
        self._answers = answers
        self._send = send
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._credits: dict[int, Credit] = {}
        self._answered: set[int] = set()  # where answers lie that the worker has not released
        self.handlers: dict[int, Callable[[int, Any, memoryview], None]] = {
            Kind.CALL: self._on_call,
            Kind.CALL_CANCEL: self._on_cancel,
            Kind.CALL_CREDIT: self._on_credit,
            Kind.ANSWER_RELEASE: self._on_release,
        }

    @property
    def blocks(self) -> int:
        """Answers that lie in shared memory now."""
        return len(self._answered)

    def close(self) -> None:
        """The worker is gone: nobody waits for anything."""
        for task in self._tasks.values():
            task.cancel()
        self.handlers.clear()  # they know this object: a cycle would leave the memory to the garbage collector

    # -- frames --------------------------------------------------------------------------------------------------

    def _on_call(self, id_: int, meta: Any, inline: memoryview) -> None:
        what, name, version, *rest = meta
        if id_ in self._tasks:
            raise FrameError(f"a second call {id_}")
        request: InferRequest | None = None
        if what in ("infer", "stream"):
            request = messages.read_request(
                rest[0], inline, self._memory.answers, self._answers.hold, str(name), str(version)
            )
        if len(self._tasks) >= MAX_CALLS:
            self._refuse(id_, ResourceExhaustedError("this worker's models wait for too many other models; try later"))
            return
        work = self._work(id_, what, name, version, rest, request)
        del request
        self._tasks[id_] = task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(partial(self._done, id_))

    async def _work(
        self, id_: int, what: str, name: str, version: str, rest: list[Any], request: InferRequest | None
    ) -> None:
        try:
            if self._caller is None:
                raise InternalError("this server passes no calls of models on")
            if request is not None and what == "infer":
                response = await self._caller.infer(request)
                del request
                self._answer(id_, response)
            elif request is not None:
                await self._stream(id_, self._caller, request)
            else:
                self._send(encode(Kind.ANSWER_END, id_, await _control(self._caller, what, name, version, rest)))
        except OIPError as error:
            self._refuse(id_, error)
        except Exception as error:
            self._refuse(id_, InternalError(f"the call of model '{name}' failed: {type(error).__name__}: {error}"))

    async def _stream(self, id_: int, caller: Caller, request: InferRequest) -> None:
        credit = self._credits[id_] = Credit(STREAM_CREDIT)
        async with aclosing(caller.stream(request)) as responses:
            async for response in responses:
                await credit.take()
                self._answer(id_, response)
                del response
        self._send(encode(Kind.ANSWER_END, id_))

    def _answer(self, id_: int, response: InferResponse) -> None:
        block = messages.place(response.outputs, self._memory.requests)
        meta = [*messages.write_response(response, block, Cost()), response.model_name, response.model_version]
        try:
            frame = encode(Kind.ANSWER, id_, [*meta, response.id, response.final], *block.inline)
        except BaseException:
            self._forget(block)
            raise
        if block.start is not None:
            self._answered.add(block.start)
        self._send(frame)

    def _forget(self, block: Block) -> None:
        if block.start is not None:
            self._memory.requests.free(block.start)

    def _refuse(self, id_: int, error: OIPError) -> None:
        self._send(
            encode(Kind.ANSWER_ERROR, id_, (error.code.value, error.message, error.retry_after, error.status_code))
        )

    def _done(self, id_: int, task: asyncio.Task[None]) -> None:
        del self._tasks[id_]
        self._credits.pop(id_, None)
        if not task.cancelled():
            task.result()  # what was not foreseen is to be seen

    def _on_cancel(self, id_: int, _: Any, __: memoryview) -> None:
        task = self._tasks.get(id_)
        if task is not None:
            task.cancel()

    def _on_credit(self, id_: int, parts: Any, _: memoryview) -> None:
        credit = self._credits.get(id_)
        if credit is not None:
            credit.add(int(parts))

    def _on_release(self, _: int, starts: Any, __: memoryview) -> None:
        for start in starts:
            self._answered.remove(start)
            self._memory.requests.free(start)


async def _control(caller: Caller, what: str, name: str, version: str, rest: list[Any]) -> Any:
    if what == "ready":
        return await caller.ready(name, version)
    if what == "load":
        config, files = rest
        await caller.load(name, config, {path: base64.b64decode(data) for path, data in files.items()})
        return None
    if what == "unload":
        await caller.unload(name, bool(rest[0]))
        return None
    raise InternalError(f"unknown call '{what}'")
