"""What an ensemble may ask of the models it is made of; knows neither the registry nor a scheduler."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from ...protocol import InferRequest, InferResponse
from ...runtime import ModelFace
from ...settings import ModelSettings


class Member(Protocol):
    """A loaded model version, which stays loaded until ``release``. Requests pass its own scheduler and are counted
    among its own."""

    @property
    def face(self) -> ModelFace:
        """What the model takes and gives."""
        ...

    @property
    def settings(self) -> ModelSettings:
        """Its settings."""
        ...

    def infer_now(self, request: InferRequest) -> InferResponse | None:
        """Answer ``request`` here and now; None where ``infer`` is needed. Raises OIPError."""
        ...

    async def infer(self, request: InferRequest) -> InferResponse:
        """Answer ``request``, for which ``infer_now`` had no answer. Raises OIPError."""
        ...

    def stream(self, request: InferRequest) -> AsyncGenerator[InferResponse]:
        """Answer ``request`` in pieces. Raises OIPError."""
        ...

    def release(self) -> None:
        """It is not needed any more."""
        ...


class Members(Protocol):
    """Where ensembles find the models they are made of."""

    def acquire(self, name: str, version: str) -> Member:
        """A version, "" for the default one, of the model ``name``. Raises NotFoundError or UnavailableError."""
        ...
