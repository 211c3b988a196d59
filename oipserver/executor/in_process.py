"""Models that run in the server's own process: inline on the loop while quick, in threads when they are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from contextvars import copy_context
from functools import partial

from ..errors import OIPError
from ..peers import Caller
from ..protocol import InferRequest, InferResponse
from ..runtime import ModelFace, ModelHost
from ..runtime.handlers import HandlerRequest, HandlerResponse
from ..settings import ModelSettings
from ..telemetry.context import enter_model, model_context
from .base import Executor
from .pace import Pace
from .threads import ModelThreads

_ASYNC_SLOTS = 1024  # a model that awaits bounds itself; this bounds the memory it can make us hold


class InProcessExecutor(Executor):
    """Runs one model in this process.

    A model with ``infer_tensors`` runs on the event loop while its ``Pace`` is quick, and in one of ``instances``
    threads otherwise; one with ``predict`` is awaited on the loop.
    """

    # Plain attributes, although properties would do: each is read for every request.
    slots = _ASYNC_SLOTS
    ahead = 0
    unavailable_reason = ""
    runs_inline = False

    def __init__(self, settings: ModelSettings, caller: Caller | None = None) -> None:
        """``caller`` passes on what the model asks of other models."""
        self._host = ModelHost(settings, caller)
        self._name = settings.name
        self._version = settings.version
        self._fast = False
        self._pace = Pace()
        self._threads: ModelThreads | None = None

    async def load(self) -> ModelFace:
        with model_context(self._name, self._version):
            face = await self._host.load()
        self._fast, self.lists = face.fast, face.lists
        if face.fast or face.lists:
            self.slots = max(1, face.instances)
        if face.fast:
            self._threads = ModelThreads(self.slots, f"model-{self._name}")
        return face

    async def unload(self) -> None:
        threads, self._threads = self._threads, None
        if threads is not None:
            await threads.stop()
        await self._host.unload()

    async def execute(self, request: InferRequest) -> InferResponse:
        if not self._fast:
            # A model's own coroutine needs a task of its own, as many libraries do; a wire may have begun without one.
            if isinstance(asyncio.current_task(), asyncio.Task):
                return await self._predict(request)
            return await asyncio.get_running_loop().create_task(self._predict(request))
        # In a copy of the caller's context: what the model's code sets in it ends with the call.
        run = copy_context().run
        if self.runs_inline:
            response = run(self._infer_now, request)
            self._pace.on_loop(_elapsed(response))
        else:
            assert self._threads is not None, "load() comes first"
            response = await self._threads.run(partial(run, self._infer_now, request))
            self._pace.in_thread(_elapsed(response))
        self.runs_inline = self._pace.quick
        return response

    async def _predict(self, request: InferRequest) -> InferResponse:
        with model_context(self._name, self._version):
            return await self._host.infer(request)

    async def execute_all(self, requests: Sequence[InferRequest]) -> list[InferResponse | OIPError]:
        with model_context(self._name, self._version):
            return await self._host.infer_all(requests)

    def execute_here(self, request: InferRequest) -> InferResponse | None:
        if not self._fast:
            return None
        response = copy_context().run(self._infer_now, request)
        self._pace.in_thread(_elapsed(response))
        self.runs_inline = self._pace.quick
        return response

    async def stream(self, request: InferRequest) -> AsyncIterator[InferResponse]:
        # Not one context around the loop: it would hold between the pieces too, in the code of whoever takes them.
        async with aclosing(self._host.stream(request)) as pieces:
            while True:
                with model_context(self._name, self._version):
                    piece = await anext(pieces, None)
                if piece is None:
                    return
                yield piece

    def _infer_now(self, request: InferRequest) -> InferResponse:
        enter_model(self._name, self._version)
        return self._host.infer_now(request)

    async def call_handler(self, request: HandlerRequest) -> HandlerResponse:
        with model_context(self._name, self._version):
            return await self._host.call_handler(request)


def _elapsed(response: InferResponse) -> int:
    timings = response.timings
    assert timings is not None, "the host stamps every response"
    return timings.infer_end - timings.infer_start
