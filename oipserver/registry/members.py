"""Loaded models as the steps of ensembles use them: found, kept and counted as for any other caller."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from time import monotonic_ns
from typing import Protocol, cast

from ..protocol import InferRequest, InferResponse
from ..runtime import ModelFace
from ..settings import ModelSettings
from ..telemetry.statistics import reason_of
from .servable import Servable


class Registry(Protocol):
    """Where loaded models are found."""

    def acquire(self, name: str, version: str = "") -> Servable:
        """Take a lease. Raises NotFoundError or UnavailableError."""
        ...


class LeasedMember:
    """A servable on which an ensemble holds a lease."""

    __slots__ = ("_servable", "release")

    def __init__(self, servable: Servable) -> None:
        self._servable = servable
        self.release = servable.release

    @property
    def face(self) -> ModelFace:
        """What the model takes and gives."""
        return self._servable.face

    @property
    def settings(self) -> ModelSettings:
        """Its settings."""
        return self._servable.settings

    def infer_now(self, request: InferRequest) -> InferResponse | None:
        """Answer ``request`` here and now; None where ``infer`` is needed. Raises OIPError."""
        servable, received = self._servable, monotonic_ns()
        try:
            servable.check(request)
            response = servable.scheduler.submit_now(request, received)
            if response is not None:
                self._count(response)
            return response
        except BaseException as error:
            servable.statistics.record_failure(monotonic_ns() - received, reason_of(error))
            raise

    async def infer(self, request: InferRequest) -> InferResponse:
        """Answer ``request``, for which ``infer_now`` had no answer. Raises OIPError."""
        servable, received = self._servable, monotonic_ns()
        try:
            response = await servable.scheduler.submit(request, received)
            self._count(response)
            return response
        except BaseException as error:
            servable.statistics.record_failure(monotonic_ns() - received, reason_of(error))
            raise

    async def stream(self, request: InferRequest) -> AsyncGenerator[InferResponse]:
        """Answer ``request`` in pieces. Raises OIPError."""
        servable, received = self._servable, monotonic_ns()
        answers = cast("AsyncGenerator[InferResponse]", servable.scheduler.stream(request, received))
        response: InferResponse | None = None
        try:
            servable.check(request)
            async for response in answers:
                yield response
            if response is not None:
                self._count(response)
        except BaseException as error:
            servable.statistics.record_failure(monotonic_ns() - received, reason_of(error))
            raise
        finally:
            await answers.aclose()

    def _count(self, response: InferResponse) -> None:
        timings = response.timings
        assert timings is not None, "a scheduler stamps every response"
        timings.finished = monotonic_ns()
        self._servable.statistics.record_success(timings)


class RegistryMembers:
    """The members of ensembles, as the registry has them when they are asked for."""

    def __init__(self) -> None:
        self._registry: Registry | None = None

    def connect(self, registry: Registry) -> None:
        """Find members in ``registry``: it is made after what it is made with."""
        self._registry = registry

    def acquire(self, name: str, version: str) -> LeasedMember:
        """A version, "" for the default one, of the model ``name``. Raises NotFoundError or UnavailableError."""
        assert self._registry is not None, "connect() comes first"
        return LeasedMember(self._registry.acquire(name, version))
