"""The executor of one model version that runs in a pool of workers; knows no socket and no process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from ...errors import OIPError
from ...protocol import InferRequest, InferResponse, Pending
from ...runtime import ModelFace
from ...runtime.handlers import HandlerRequest, HandlerResponse
from ...settings import ModelSettings
from ..base import Executor
from .calls import Call, HandlerCall, InferAllCall, InferCall, StreamCall
from .model import PoolModel
from .pool import Pool, new_model_key

T = TypeVar("T")


class PendingInfer(Pending[InferResponse]):
    """A request on its way through the pool."""

    __slots__ = ("_call", "_pool")

    def __init__(self, pool: Pool, call: InferCall) -> None:
        self._pool = pool
        self._call = call

    def then(self, tell: Callable[[InferResponse | OIPError], None]) -> None:
        self._call.tell = tell

    def cancel(self) -> None:
        self._pool.abandon(self._call)


class PoolExecutor(Executor):
    """Runs one model in every worker of a pool, wherever there is least to do."""

    def __init__(
        self,
        settings: ModelSettings,
        enter: Callable[[], Awaitable[Pool]],
        leave: Callable[[], Awaitable[None]],
    ) -> None:
        """``enter`` gives the pool and keeps it running until ``leave``. The pool raises ModelLoadError."""
        self._settings = settings
        self._enter = enter
        self._leave = leave
        self._pool: Pool | None = None
        self._model = PoolModel(new_model_key(), settings, lambda: self.changed())

    @property
    def _loaded(self) -> Pool:
        assert self._pool is not None, "load() comes first"
        return self._pool

    async def load(self) -> ModelFace:
        self._pool = await self._enter()
        try:
            face = await self._pool.load(self._model)
        except BaseException:
            self._pool = None
            await asyncio.shield(self._leave())
            raise
        self.lists = face.lists
        return face

    async def unload(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.unload(self._model)
            await self._leave()

    @property
    def description(self) -> str:
        count = len(self._pool.workers) if self._pool else 0
        return f"{count} worker{'' if count == 1 else 's'}"

    @property
    def slots(self) -> int:
        return self._model.slots

    @property
    def ahead(self) -> int:
        return self._model.ahead

    @property
    def unavailable_reason(self) -> str:
        return "it is not loaded" if self._pool is None else self._pool.why_not(self._model)

    async def execute(self, request: InferRequest) -> InferResponse:
        return await self.post(request)

    @property
    def posts(self) -> bool:
        return True

    def post(self, request: InferRequest) -> PendingInfer:
        pool = self._loaded
        call = InferCall(pool.next_id(), self._model, request)
        pool.submit(call)
        return PendingInfer(pool, call)

    async def execute_all(self, requests: Sequence[InferRequest]) -> list[InferResponse | OIPError]:
        pool = self._loaded
        future: asyncio.Future[list[InferResponse | OIPError]] = asyncio.get_running_loop().create_future()
        call = InferAllCall(pool.next_id(), self._model, requests, future)
        return await self._answer(pool, call, future)

    async def call_handler(self, request: HandlerRequest) -> HandlerResponse:
        pool = self._loaded
        future: asyncio.Future[HandlerResponse] = asyncio.get_running_loop().create_future()
        call = HandlerCall(pool.next_id(), self._model, request, future)
        return await self._answer(pool, call, future)

    async def _answer(self, pool: Pool, call: Call, future: asyncio.Future[T]) -> T:
        pool.submit(call)
        try:
            return await future
        except asyncio.CancelledError:
            pool.abandon(call)
            raise

    async def stream(self, request: InferRequest) -> AsyncIterator[InferResponse]:
        pool = self._loaded
        call = StreamCall(pool.next_id(), self._model, request)
        pool.submit(call)
        over = False
        try:
            while (response := await call.next()) is not None:
                pool.give_credit(call)
                yield response
            over = True
        finally:
            if not over:
                pool.abandon(call)
