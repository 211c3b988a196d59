"""What a client of a server is, whichever wire it speaks; knows no file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from ...protocol import InferRequest, InferResponse


class CallError(Exception):
    """A request that was not answered. ``retry``: the same may work later, at best after ``retry_after`` seconds."""

    def __init__(self, message: str, *, retry: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry = retry
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to ask, and how. ``timeout`` is in seconds, for one request."""

    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict)
    timeout: float = 60.0
    secure: bool = False
    verify: bool = True
    binary: bool = False


class Client(ABC):
    """One caller of a server, used by one thread at a time."""

    @abstractmethod
    def infer(self, request: InferRequest) -> InferResponse:
        """The answer to ``request``. Raises CallError."""

    @abstractmethod
    def close(self) -> None:
        """Let the connection go."""
