"""A reply that is made when the answer comes, without a coroutine that waits for it; knows no connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ...protocol import InferResponse, Pending
from .reply import Reply

#: From an answer or an error to a reply, or to what is to be awaited for one. Raises nothing.
MakeReply = Callable[[InferResponse | Exception], Reply | Coroutine[Any, Any, Reply]]


class PendingReply(Pending[Reply]):
    """The reply to an inference that is under way. Whoever waits is told None where it is cancelled."""

    __slots__ = ("_answer", "_compression", "_make", "_tell")

    def __init__(self, answer: Pending[InferResponse], make: MakeReply) -> None:
        self._answer = answer
        self._make = make
        self._compression: asyncio.Task[Reply] | None = None

    def then(self, tell: Callable[[Reply | None], None]) -> None:
        self._tell = tell
        self._answer.then(self._answered)

    def cancel(self, msg: str | None = None) -> None:  # the argument is that of tasks
        if self._compression is not None:
            self._compression.cancel()
        else:
            self._answer.cancel()
            self._tell(None)

    def _answered(self, outcome: InferResponse | Exception) -> None:
        reply = self._make(outcome)
        if isinstance(reply, Reply):
            tell = self._tell
            del self._tell  # no cycles
            tell(reply)
            return
        self._compression = asyncio.get_running_loop().create_task(reply)
        self._compression.add_done_callback(self._compressed)

    def _compressed(self, task: asyncio.Task[Reply]) -> None:
        self._tell(None if task.cancelled() else task.result())
