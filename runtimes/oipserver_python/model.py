"""PythonModel: a model written for Triton's Python backend as a model of this server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, ClassVar, TypeVar

from oipserver import MLModel, ModelSettings, OIPError
from oipserver.errors import InternalError, UnsupportedError
from oipserver.model import Placement
from oipserver.protocol import InferRequest, InferResponse
from oipserver.types import MetadataModelResponse

from .calling import Execution, Place, arrive, leave
from .code import ModelCode
from .configuration import told
from .tickets import Ticket

T = TypeVar("T")

_STREAMS = 128  # requests of a decoupled model that may be open at once


class PythonModel(MLModel):
    """Runs ``class TritonPythonModel`` of a version's ``model.py``, in a thread that is this model's own.

    It may be called while it waits for another model: nothing of the server waits in that thread.
    """

    placement: ClassVar[Placement] = "own-pool"

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        self._code = ModelCode(settings)
        self._thread: ThreadPoolExecutor | None = None
        self._place: Place | None = None
        self.decoupled = False
        self.instances = 1

    @property
    def configuration(self) -> dict[str, Any]:
        """The model's configuration in Triton's form, completed by its own code once it is loaded."""
        return self._code.configuration

    async def load(self) -> bool:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"model-{self.name}")
        self._place = Place(self.models, asyncio.get_running_loop())
        arrive(self._place)
        try:
            await self._in_thread(self._code.load)
            self.inputs, self.outputs = told(self.configuration, "input"), told(self.configuration, "output")
        except BaseException:
            await asyncio.shield(self.unload())
            raise
        self.decoupled = self._code.decoupled
        self.instances = _STREAMS if self.decoupled else 1
        return True

    async def unload(self) -> bool:
        if self._place is not None:
            leave(self._place)
        if self._thread is not None:
            await self._in_thread(self._code.unload)
            self._thread.shutdown(wait=False)
            self._thread = None
        return True

    async def metadata(self) -> MetadataModelResponse:
        metadata = await super().metadata()
        metadata.platform = metadata.platform or "python"
        return metadata

    def _in_thread(self, work: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Do ``work`` in the model's thread, as part of what this task does."""
        assert self._thread is not None, "load() comes first"
        return asyncio.get_running_loop().run_in_executor(self._thread, copy_context().run, work, *arguments)

    def _execution(self, requests: Sequence[InferRequest]) -> tuple[Execution, list[Ticket]]:
        assert self._place is not None, "load() comes first"
        loop = asyncio.get_running_loop()
        return Execution(self._place, requests), [Ticket(self.name, loop) for _ in requests]

    async def infer_requests(self, requests: Sequence[InferRequest]) -> Sequence[InferResponse | OIPError]:
        """Answer ``requests`` by one call of ``execute``."""
        if self.decoupled:
            raise UnsupportedError(f"model '{self.name}' doesn't support one response: it is decoupled")
        execution, tickets = self._execution(requests)
        try:
            outcomes = await self._in_thread(self._code.execute, execution, tickets)
            return [
                await self._sent(ticket) if outcome is None else outcome
                for outcome, ticket in zip(outcomes, tickets, strict=True)
            ]
        finally:
            execution.cancel()
            for ticket in tickets:
                ticket.cancel()

    async def _sent(self, ticket: Ticket) -> InferResponse | OIPError:
        """The one response that is sent, by a model that does so although it is not decoupled."""
        try:
            response = await ticket.next()
            if response is None or (not response.final and await ticket.next() is not None):
                raise InternalError(f"model '{self.name}' must send exactly one response: it is not decoupled")
        except OIPError as error:
            return error
        return response

    async def stream_request(self, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
        """Answer ``request`` as often as the model's code sends responses."""
        execution, (ticket,) = self._execution([request])
        try:
            began = self._in_thread(self._code.begin, execution, ticket)
            while (response := await ticket.next()) is not None:
                yield response
                if response.final:
                    break
            await began
        finally:
            ticket.cancel()
            execution.cancel()
