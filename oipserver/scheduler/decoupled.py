"""The scheduler of models that answer in any number of pieces: streams go on to another one, nothing else does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NoReturn

from ..errors import DecoupledModelError
from ..protocol import InferRequest, InferResponse
from ..runtime import ModelFace
from .base import Scheduler


class StreamsOnly(Scheduler):
    """Refuses who wants one answer, before anything is queued."""

    def __init__(self, name: str, inner: Scheduler) -> None:
        self._name = name
        self._inner = inner

    def loaded(self, face: ModelFace) -> None:
        self._inner.loaded(face)

    async def submit(self, request: InferRequest, received: int) -> InferResponse:
        self._refuse()

    def submit_now(self, request: InferRequest, received: int) -> InferResponse | None:
        self._refuse()

    def submit_here(self, request: InferRequest, received: int) -> InferResponse | None:
        self._refuse()

    def stream(self, request: InferRequest, received: int) -> AsyncIterator[InferResponse]:
        return self._inner.stream(request, received)

    def _refuse(self) -> NoReturn:
        raise DecoupledModelError(
            f"model '{self._name}' has decoupled transaction policy: it answers with any number of responses, and "
            "must be asked for a stream of them"
        )

    @property
    def queued(self) -> int:
        return self._inner.queued

    def slots_changed(self) -> None:
        self._inner.slots_changed()

    async def close(self) -> None:
        await self._inner.close()
