"""The scheduler of models that do not batch: every request runs alone, as soon as a slot is free."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic_ns

from ..errors import DeadlineExceededError
from ..executor import Executor
from ..protocol import InferRequest, InferResponse
from ..telemetry.statistics import ModelStatistics
from .base import Scheduler
from .slots import Slots, unavailable


class DirectScheduler(Scheduler):
    """First come, first served, one request per execution."""

    def __init__(
        self,
        name: str,
        executor: Executor,
        statistics: ModelStatistics,
        max_queue_size: int,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._name = name
        self._executor = executor
        self._statistics = statistics
        self._clock = clock
        self._slots = Slots(lambda: executor.slots, max_queue_size, name, clock)
        self._closed = False

    @property
    def queued(self) -> int:
        return self._slots.waiting

    def slots_changed(self) -> None:
        if reason := self._executor.unavailable_reason:
            self._slots.fail(unavailable(self._name, reason))
        else:
            self._slots.wake()

    async def close(self) -> None:
        self._closed = True
        self._slots.fail(unavailable(self._name, "it is being unloaded"))

    async def submit(self, request: InferRequest, received: int) -> InferResponse:
        self._refuse_if_unavailable()
        await self._slots.acquire(request.deadline)
        try:
            dispatched = self._clock()
            if request.deadline is None:
                response = await self._executor.execute(request)
            else:
                response = await self._before(request, request.deadline)
            self._stamp(request, response, received, dispatched)
            return response
        finally:
            self._slots.release()

    def submit_here(self, request: InferRequest, received: int) -> InferResponse | None:
        if self._closed or not self._slots.try_acquire():
            return None
        try:
            dispatched = self._clock()
            response = self._executor.execute_here(request)
            if response is not None:
                self._stamp(request, response, received, dispatched)
            return response
        finally:
            self._slots.release()

    async def stream(self, request: InferRequest, received: int) -> AsyncIterator[InferResponse]:
        self._refuse_if_unavailable()
        await self._slots.acquire(request.deadline)
        try:
            dispatched = self._clock()
            async for response in self._executor.stream(request):
                self._stamp(request, response, received, dispatched)
                yield response
        finally:
            self._slots.release()

    def _refuse_if_unavailable(self) -> None:
        reason = "it is being unloaded" if self._closed else self._executor.unavailable_reason
        if reason:
            raise unavailable(self._name, reason)

    async def _before(self, request: InferRequest, deadline: int) -> InferResponse:
        if self._executor.runs_inline and self._clock() < deadline:
            return await self._executor.execute(request)
        try:
            async with asyncio.timeout(max(0, deadline - self._clock()) / 1e9):
                return await self._executor.execute(request)
        except TimeoutError:
            raise DeadlineExceededError(f"model '{self._name}': deadline exceeded") from None

    def _stamp(self, request: InferRequest, response: InferResponse, received: int, dispatched: int) -> None:
        timings = response.timings
        assert timings is not None, "an executor stamps every response"
        timings.received, timings.dispatched = received, dispatched
        timings.finished = self._clock()
        self._statistics.record_execution(_rows(request), timings)


def _rows(request: InferRequest) -> int:
    shape = request.inputs[0].shape if request.inputs else ()
    return shape[0] if shape else 1
