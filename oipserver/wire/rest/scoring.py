"""What answers requests in another form than V2's on a connection's own short way; knows no such form."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from ...tensor.tensor import Buffer
from .headers import HeaderView
from .reply import Reply


class Scoring(Protocol):
    """A handler that knows its own paths."""

    def match(self, path: bytes) -> str | None:
        """The model, or "" for the default one, where ``path``, still percent-encoded, is one of the handler's."""
        ...

    def template(self, name: str) -> str:
        """What requests that ``match`` gave ``name`` for are counted under."""
        ...

    def begin(self, name: str, version: str, headers: HeaderView, body: Buffer) -> Coroutine[Any, Any, Reply]:
        """What is to be awaited for the reply; it raises nothing but cancellation."""
        ...
