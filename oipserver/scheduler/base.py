"""What the data plane may ask of a scheduler."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

from ..protocol import InferRequest, InferResponse, Pending
from ..runtime import ModelFace


class Scheduler(ABC):
    """Decides when the requests of one model version run, and together with which others.

    Every response carries complete ``timings`` but for ``finished``, which the data plane stamps. Raises
    ResourceExhaustedError at once where the queue is full, DeadlineExceededError where a deadline passes first. A
    cancelled caller costs the others nothing.
    """

    def loaded(self, face: ModelFace) -> None:  # noqa: B027  # not every scheduler cares
        """Told once what the model turned out to be, before the first request."""

    @abstractmethod
    async def submit(self, request: InferRequest, received: int) -> InferResponse:
        """Run ``request``, which arrived at ``received`` (``time.monotonic_ns``), and return its answer."""

    @abstractmethod
    def stream(self, request: InferRequest, received: int) -> AsyncIterator[InferResponse]:
        """Run ``request`` and yield its answers as they come."""

    def submit_now(self, request: InferRequest, received: int) -> InferResponse | None:
        """Run ``request`` on the loop, where nobody has to wait for it; None where ``submit`` is needed."""
        return None

    def submit_here(self, request: InferRequest, received: int) -> InferResponse | None:
        """Run ``request`` in the calling thread, which need not be the loop's; None where that is not possible now."""
        return None

    def post(self, request: InferRequest, received: int) -> Pending[InferResponse] | None:
        """Run ``request`` as ``submit`` does, without a coroutine that waits; None where only ``submit`` can."""
        return None

    @property
    @abstractmethod
    def queued(self) -> int:
        """Requests that wait for a slot."""

    @abstractmethod
    def slots_changed(self) -> None:
        """Told when the executor's ``slots`` changed or it became unavailable."""

    @abstractmethod
    async def close(self) -> None:
        """Refuse what comes from now on and fail what still waits with UnavailableError."""
