"""Calls that wait for the worker's one thread, in the order they came; knows no frame and runs no model itself."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns

from ....protocol import InferRequest
from .lease import Lease
from .loaded import LoadedModel

_TURN = 1_000_000  # ns for which calls are run before the loop may look at the socket, and at everything else, again
HOLD = _TURN  # ns for which an answer may wait for those of the calls behind it, to be sent with them


@dataclass(slots=True)
class Waiting:
    """A call that has not begun."""

    id: int
    model: LoadedModel
    request: InferRequest | None  # None once it is on its way: nothing else may keep its data in use
    lease: Lease


class Line:
    """Calls whose model holds the thread. They begin when all that was received has been looked at, so that a CANCEL
    finds those it is for."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, run: Callable[[Waiting, int], None], settle: Callable[[], None]
    ) -> None:
        """``run`` executes a call, which was taken up at the given time; ``settle`` is called when no other one follows
        at once."""
        self._loop = loop
        self._run = run
        self._settle = settle
        self._waiting: OrderedDict[int, Waiting] = OrderedDict()
        self._asked = False

    def add(self, call: Waiting) -> None:
        """Put a call behind all others."""
        self._waiting[call.id] = call

    def remove(self, id_: int) -> Waiting | None:
        """Take out a call that has not begun; None where there is no such call."""
        return self._waiting.pop(id_, None)

    def of(self, model: LoadedModel) -> list[Waiting]:
        """The calls of one model that have not begun."""
        return [call for call in self._waiting.values() if call.model is model]

    def move(self) -> None:
        """Run calls, for as long as one turn of the loop may take; the rest in the next one."""
        waiting = self._waiting
        now = monotonic_ns()
        end = now + _TURN
        while waiting and now < end:
            self._run(waiting.popitem(last=False)[1], now)
            now = monotonic_ns()
        self._settle()
        if waiting and not self._asked:
            self._asked = True
            self._loop.call_soon(self._again)

    def _again(self) -> None:
        self._asked = False
        self.move()
