"""Calls of other models that models in this worker make: passed on to the server, which knows them all."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Any
from weakref import finalize

import numpy as np

from ....errors import Code, InternalError, OIPError, error_from_code
from ....protocol import InferRequest, InferResponse
from .. import messages
from ..frames import FrameError, Kind, encode
from ..memory import SharedMemory
from .outbox import Outbox


class _Pending:
    """A call under way and what has come of it: responses, and in the end an error or the value of a control call."""

    __slots__ = ("_wake", "items", "once", "request")

    def __init__(self, request: InferRequest | None, once: bool) -> None:
        self.request = request
        self.once = once  # whether it ends with its first answer
        self.items: deque[InferResponse | OIPError | tuple[Any]] = deque()
        self._wake: asyncio.Future[None] | None = None

    def put(self, item: InferResponse | OIPError | tuple[Any]) -> None:
        self.items.append(item)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def next(self) -> InferResponse | tuple[Any]:
        while not self.items:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        item = self.items.popleft()
        if isinstance(item, OIPError):
            try:
                raise item
            finally:
                del item  # its traceback refers to this frame: a cycle would keep what the call holds
        return item


class ServerCaller:
    """A Caller that asks the server over the worker's socket. Everything happens on the worker's loop."""

    def __init__(self, memory: SharedMemory, outbox: Outbox) -> None:
        self._memory = memory
        self._outbox = outbox
        self._ids = itertools.count(1)
        self._pending: dict[int, _Pending] = {}

    # -- a Caller ------------------------------------------------------------------------------------------------

    async def infer(self, request: InferRequest) -> InferResponse:
        id_, pending = self._ask("infer", request)
        try:
            answer = await pending.next()
        finally:
            self._leave(id_)
        if not isinstance(answer, InferResponse):
            raise InternalError(f"model '{request.model_name}' gave no answer")
        return answer

    async def stream(self, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
        id_, pending = self._ask("stream", request)
        try:
            while isinstance(answer := await pending.next(), InferResponse):
                self._outbox.send(encode(Kind.CALL_CREDIT, id_, 1))
                yield answer
        finally:
            self._leave(id_)

    async def ready(self, name: str, version: str) -> bool:
        return bool(await self._control("ready", name, version))

    async def load(self, name: str, config: str, files: Mapping[str, bytes]) -> None:
        encoded = {path: base64.b64encode(data).decode() for path, data in files.items()}
        await self._control("load", name, "", config, encoded)

    async def unload(self, name: str, dependents: bool) -> None:
        await self._control("unload", name, "", dependents)

    # -- asking --------------------------------------------------------------------------------------------------

    def _ask(self, what: str, request: InferRequest) -> tuple[int, _Pending]:
        half = self._memory.answers
        block = messages.place(request.inputs, half)
        id_ = next(self._ids)
        meta = (what, request.model_name, request.model_version, messages.write_request(request, block))
        try:
            frame = encode(Kind.CALL, id_, meta, *block.inline)
        except (TypeError, ValueError) as error:
            if block.start is not None:
                half.free(block.start)
            raise InternalError(f"the call of model '{request.model_name}' cannot be sent: {error}") from None
        pending = self._pending[id_] = _Pending(request, what == "infer")
        self._outbox.send(frame)
        return id_, pending

    async def _control(self, what: str, name: str, version: str, *rest: Any) -> Any:
        id_ = next(self._ids)
        pending = self._pending[id_] = _Pending(None, True)
        self._outbox.send(encode(Kind.CALL, id_, (what, name, version, *rest)))
        try:
            answer = await pending.next()
        finally:
            self._leave(id_)
        return answer[0] if isinstance(answer, tuple) else None

    def _leave(self, id_: int) -> None:
        """Nobody waits for call ``id_`` any more; the server is told unless it has ended."""
        if self._pending.pop(id_, None) is not None:
            self._outbox.send(encode(Kind.CALL_CANCEL, id_))

    # -- frames --------------------------------------------------------------------------------------------------

    def answer(self, id_: int, meta: Any, inline: memoryview) -> None:
        """An answer, or a part of one."""
        pending = self._pending.get(id_)
        if pending is None or pending.request is None:  # it was given up while this was on its way
            if meta[1][0] >= 0:
                self._release(meta[1][0])
            return
        if pending.once:
            del self._pending[id_]
        *told, name, version, own_id, final = meta
        request = pending.request
        try:
            response, _ = messages.read_response(told, inline, self._memory.requests, self._hold, request)
        except FrameError as error:
            pending.put(InternalError(f"the answer of model '{name}' did not survive the way to its caller: {error}"))
            return
        response.model_name, response.model_version, response.id, response.final = name, version, own_id, final
        pending.put(response)

    def end(self, id_: int, value: Any, _: memoryview) -> None:
        """A stream or a control call is over."""
        pending = self._pending.pop(id_, None)
        if pending is not None:
            pending.put((value,))

    def error(self, id_: int, meta: Any, _: memoryview) -> None:
        """A call has failed."""
        code, message, retry_after, status_code = meta
        pending = self._pending.pop(id_, None)
        if pending is not None:
            pending.put(error_from_code(Code(code), message, retry_after, status_code))

    def _hold(self, root: np.ndarray[Any, Any], start: int) -> None:
        # In whichever thread the last view goes: the frame is then sent soon, not from within.
        finalize(root, self._release, start)

    def _release(self, start: int) -> None:
        self._outbox.post(encode(Kind.ANSWER_RELEASE, 0, [start]))
