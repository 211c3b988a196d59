"""What every group of unary calls has in common; knows no call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar

from google.protobuf.message import DecodeError, Message

from ....errors import InvalidArgumentError

M = TypeVar("M", bound=Message)
Handler = Callable[[bytes], Awaitable[bytes]]


class CallGroup(ABC):
    """The unary calls of one extension. They run on the event loop, where the planes' state changes; each gets the
    serialized request, returns the serialized answer, and raises nothing but OIPError."""

    #: Whether they are answered at once, however many inferences wait for a thread.
    quick: ClassVar[bool] = False

    @property
    @abstractmethod
    def calls(self) -> dict[str, Handler]:
        """The calls by method name."""


def parsed(kind: type[M], data: bytes) -> M:
    """The message in ``data``. Raises InvalidArgumentError."""
    try:
        return kind.FromString(data)
    except DecodeError:
        raise InvalidArgumentError(f"the message is not a {kind.__name__}") from None
