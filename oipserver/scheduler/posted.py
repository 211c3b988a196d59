"""Requests that nobody awaits in a coroutine: each is told its outcome; knows no queue and no executor by name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from ..protocol import InferRequest, InferResponse, Pending
from .queue import Entry, Outcome

Answer = InferResponse | Exception
Tell = Callable[[Answer], None]


class Posting(Protocol):
    """What posted requests need of their scheduler."""

    def executed(self, posted: PostedExecution, outcome: Answer | None) -> None:
        """``posted`` is over, or nobody waits for it (None); its slot is given back."""
        ...

    def run_posted(self, entry: Entry) -> Pending[InferResponse]:
        """Run the request of ``entry`` in the slot that it holds. Raises OIPError, giving the slot back."""
        ...

    def gone(self, entry: Entry, *, abandoned: bool) -> None:
        """``entry`` has its outcome, or was ``abandoned``."""
        ...


class PostedExecution(Pending[InferResponse]):
    """A request in the executor, in a slot that it holds."""

    __slots__ = ("_execution", "_over", "_scheduler", "_tell", "dispatched", "received", "request")

    def __init__(
        self,
        scheduler: Posting,
        execution: Pending[InferResponse],
        request: InferRequest,
        received: int,
        dispatched: int,
    ) -> None:
        self._scheduler = scheduler
        self._execution = execution
        self._tell: Tell | None = None
        self._over = False
        self.request = request
        self.received = received
        self.dispatched = dispatched
        execution.then(self._ended)

    def then(self, tell: Tell) -> None:
        self._tell = tell

    def cancel(self) -> None:
        if not self._over:
            self._over = True
            self._execution.cancel()
            self._scheduler.executed(self, None)

    def _ended(self, outcome: Answer) -> None:
        if self._over:
            return
        self._over = True
        self._scheduler.executed(self, outcome)
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(outcome)


class PostedEntry(Pending[InferResponse]):
    """A request in the queue; alone, it may be told to run by itself, in a slot that it then holds."""

    __slots__ = ("_entry", "_over", "_running", "_scheduler", "_tell")

    def __init__(self, scheduler: Posting, entry: Entry) -> None:
        self._scheduler = scheduler
        self._entry = entry
        self._over = False
        self._running: Pending[InferResponse] | None = None
        self._tell: Tell | None = None

    def then(self, tell: Tell) -> None:
        self._tell = tell
        if self._entry.finished:
            asyncio.get_running_loop().call_soon(self._told, self._entry.outcome)
        else:
            self._entry.tell = self._told

    def cancel(self) -> None:
        if self._over:
            return
        self._over = True
        if self._running is not None:
            self._running.cancel()
            self._scheduler.gone(self._entry, abandoned=False)
        else:
            self._scheduler.gone(self._entry, abandoned=True)

    def _told(self, outcome: Outcome) -> None:
        if self._over:  # cancelled in the meantime
            return
        if outcome is None:
            try:
                self._running = self._scheduler.run_posted(self._entry)
            except Exception as error:
                self._end(error)
            else:
                self._running.then(self._end)
        else:
            self._end(outcome)

    def _end(self, outcome: Answer) -> None:
        if self._over:
            return
        self._over = True
        self._scheduler.gone(self._entry, abandoned=False)
        tell, self._tell = self._tell, None
        assert tell is not None, "then() comes first"
        tell(outcome)


class PostedTask(Pending[InferResponse]):
    """A request that only a coroutine can run, as a task."""

    __slots__ = ("_left", "_started", "_task")

    def __init__(self, work: Coroutine[Any, Any, InferResponse], unused: Callable[[], None]) -> None:
        """``unused`` is called where ``work`` does not begin, because nobody waits any more by then."""
        self._left = self._started = False
        self._task = asyncio.get_running_loop().create_task(self._run(work, unused))

    async def _run(self, work: Coroutine[Any, Any, InferResponse], unused: Callable[[], None]) -> InferResponse:
        self._started = True
        if self._left:
            work.close()
            unused()
            raise asyncio.CancelledError
        return await work

    def then(self, tell: Tell) -> None:
        def ended(task: asyncio.Task[InferResponse]) -> None:
            if not (self._left or task.cancelled()):  # one that is cancelled in its last step still ends well
                error = task.exception()
                tell(task.result() if error is None else error)  # type: ignore[arg-type]

        self._task.add_done_callback(ended)

    def cancel(self) -> None:
        self._left = True
        if self._started:  # a task that has not would never begin: the slot it has would be lost
            self._task.cancel()
