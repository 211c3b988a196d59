"""Answers in the order of their requests, also where they run side by side; knows no queue and no executor."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from ..errors import OIPError
from ..protocol import InferRequest, InferResponse
from ..runtime import ModelFace
from .base import Scheduler


class OrderedScheduler(Scheduler):
    """Hands every request on to ``inner`` at once, and its answer, or its error, to the caller when all requests that
    came before it are answered. Streams are not held up and hold up nobody."""

    def __init__(self, inner: Scheduler) -> None:
        self._inner = inner
        self._ends: deque[asyncio.Future[None]] = deque()  # one for each request here, done with its answer

    @property
    def queued(self) -> int:
        return self._inner.queued

    def loaded(self, face: ModelFace) -> None:
        self._inner.loaded(face)

    def slots_changed(self) -> None:
        self._inner.slots_changed()

    async def close(self) -> None:
        await self._inner.close()

    async def submit(self, request: InferRequest, received: int) -> InferResponse:
        ends = self._ends
        before = ends[-1] if ends else None
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ends.append(mine)
        try:
            try:
                answer = await self._inner.submit(request, received)
            except OIPError:
                await _over(before)
                raise
            await _over(before)
            return answer
        finally:
            self._end(mine, before)

    def _end(self, mine: asyncio.Future[None], before: asyncio.Future[None] | None) -> None:
        """``mine`` is answered; one whose caller left early passes on the wait for those ``before`` it."""
        self._ends.remove(mine)
        if before is None or before.done():
            mine.set_result(None)
        else:
            before.add_done_callback(lambda _: mine.set_result(None))

    def submit_now(self, request: InferRequest, received: int) -> InferResponse | None:
        return None if self._ends else self._inner.submit_now(request, received)

    def stream(self, request: InferRequest, received: int) -> AsyncIterator[InferResponse]:
        return self._inner.stream(request, received)


async def _over(before: asyncio.Future[None] | None) -> None:
    if before is not None:
        await asyncio.shield(before)  # others wait for it too: who is cancelled here must not cancel it
