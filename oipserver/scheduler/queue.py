"""The bounded queue of one model: priorities, and groups of requests that could run together; knows no executor."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING

from ..errors import OIPError, ResourceExhaustedError, UnavailableError
from ..protocol import InferRequest, InferResponse
from .policy import QueuePolicy

if TYPE_CHECKING:
    from .batch import Batch

#: How a wait ends: with an answer, an error, or a slot that the caller then holds (None).
Outcome = InferResponse | OIPError | None


def own(error: OIPError) -> OIPError:
    """A copy of ``error`` for one of several callers: raising it adds to its traceback.

    Its ``__init__`` is not called: a model's own subclass may want other arguments than a message.
    """
    kind = type(error)
    twin: OIPError = kind.__new__(kind, *error.args)
    twin.__dict__.update(error.__dict__)
    twin.__cause__ = error.__cause__
    return twin


class Entry:
    """One request in the queue, and later in a batch.

    Entries with equal ``key`` may run together; one without a key runs alone. ``level`` 0 is served first. A ``piece``
    is part of a larger request: it never runs in its caller's own coroutine.

    Whoever waits is told the outcome: by a call of ``tell``, at once, or else, in a coroutine, by ``wait``.
    """

    __slots__ = (
        "_finished", "_future", "_over", "batch", "key", "level", "outcome", "overdue", "piece", "received", "request",
        "rows", "tell", "timer",
    )  # fmt: skip

    def __init__(
        self,
        request: InferRequest,
        received: int,
        level: int = 0,
        *,
        tell: Callable[[Outcome], None] | None = None,
        key: Hashable | None = None,
        rows: int = 1,
        piece: bool = False,
    ) -> None:
        self.request = request
        self.received = received
        self.tell = tell
        self.outcome: Outcome = None
        self._future: asyncio.Future[Outcome] | None = None
        self._over = self._finished = False
        self.key = key
        self.rows = rows
        self.level = level
        self.piece = piece
        self.overdue = False  # held back for as long as may be
        self.timer: asyncio.TimerHandle | None = None
        self.batch: Batch | None = None

    @property
    def over(self) -> bool:
        """Whether there is an outcome already, or the caller has left."""
        return self._over or (self._future is not None and self._future.done())

    @property
    def finished(self) -> bool:
        """Whether there is an outcome."""
        return self._finished

    def finish(self, outcome: Outcome) -> None:
        """End the wait; does nothing where the caller has left."""
        if self.timer is not None:
            self.stop_timer()
        if self._over:
            return
        self._over, self._finished, self.outcome = True, True, outcome
        future = self._future
        tell, self.tell = self.tell, None  # who is told knows this entry: no cycles, whose memory would wait for the
        if tell is not None:  # garbage collector
            tell(outcome)
        elif future is not None and not future.done():
            future.set_result(outcome)

    async def wait(self) -> Outcome:
        """The outcome. A cancelled wait leaves it to the caller to ``leave``."""
        if not self._over:
            self._future = asyncio.get_running_loop().create_future()
            await self._future
        return self.outcome

    def leave(self) -> bool:
        """Nobody waits any more; False where an outcome came before that."""
        self.stop_timer()
        self._over = True
        return not self._finished

    def stop_timer(self) -> None:
        """Forget the deadline that was watched."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


_Line = OrderedDict[Entry, None]  # first in, first out, with removal from the middle in constant time


class RequestQueue:
    """Entries in order of level, then of arrival; every operation but ``groups`` takes constant time per entry."""

    def __init__(self, name: str, policy: QueuePolicy) -> None:
        self._name = name
        self._policy = policy
        self._limit = policy.max_queue_size
        self._lines: list[_Line] = [OrderedDict() for _ in range(policy.lines)]
        self._groups: dict[Hashable, list[_Line]] = {}
        self._rows: dict[Hashable, int] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __bool__(self) -> bool:
        return self._size > 0

    def add(self, entry: Entry) -> None:
        """Put ``entry`` behind all others of its level.

        Raises ResourceExhaustedError where the queue is full, UnavailableError where the rule for its level says so.
        """
        rule = self._policy.rule(entry.level)
        if rule is not None and rule.max_queue_size:
            count = self._policy.lines_per_level
            first = entry.level // count * count
            if sum([len(line) for line in self._lines[first : first + count]]) >= rule.max_queue_size:
                raise UnavailableError(self._full(rule.max_queue_size), retry_after=1.0)
        if self._size >= self._limit:
            raise ResourceExhaustedError(self._full(self._limit), retry_after=1.0)
        self.put(entry)

    def _full(self, limit: int) -> str:
        return f"model '{self._name}': Exceeds maximum queue size: {limit} requests wait already; try later"

    def delay(self, entry: Entry) -> None:
        """Let ``entry``, which has waited for too long, wait on behind all others of its level."""
        self.remove(entry)
        entry.level += 1
        self.put(entry)

    def put(self, entry: Entry, *, first: bool = False) -> None:
        """Put ``entry`` behind all others of its level, or before them, however many wait."""
        self._size += 1
        line = self._lines[entry.level]
        line[entry] = None
        if first:
            line.move_to_end(entry, last=False)
        key = entry.key
        if key is None:
            return
        lines = self._groups.get(key)
        if lines is None:
            lines = self._groups[key] = [OrderedDict() for _ in self._lines]
            self._rows[key] = 0
        lines[entry.level][entry] = None
        if first:
            lines[entry.level].move_to_end(entry, last=False)
        self._rows[key] += entry.rows

    def remove(self, entry: Entry) -> bool:
        """Take ``entry`` out; False where it was not in."""
        line = self._lines[entry.level]
        if entry not in line:
            return False
        del line[entry]
        self._size -= 1
        key = entry.key
        if key is not None:
            lines = self._groups[key]
            del lines[entry.level][entry]
            if any(lines):
                self._rows[key] -= entry.rows
            else:
                del self._groups[key], self._rows[key]
        return True

    def head(self) -> Entry | None:
        """Whose turn it is."""
        for line in self._lines:
            while line:
                entry = next(iter(line))
                if not entry.over:
                    return entry
                self.remove(entry)  # its caller was cancelled and has not run since
        return None

    def rows_like(self, entry: Entry) -> int:
        """Rows that wait and could run together with ``entry``, its own included."""
        return entry.rows if entry.key is None else self._rows[entry.key]

    def groups(self) -> list[Entry]:
        """The first entry of every group of several that wait, and the first entry that runs alone."""
        alone = (entry for line in self._lines for entry in line if entry.key is None)
        candidates = [alone, *map(self._members, self._groups)]
        firsts = [next((entry for entry in members if not entry.over), None) for members in candidates]
        return [entry for entry in firsts if entry is not None]

    def take(self, head: Entry, limit: int) -> list[Entry]:
        """Take out ``head`` and those behind it that may run with it, at most ``limit`` rows unless ``head`` has more.

        The highest level goes first; lower ones fill what is left. Nobody overtakes another of the own group.
        """
        if head.key is None or head.rows >= limit:
            self.remove(head)
            return [head]
        taken: list[Entry] = []
        rows = 0
        for entry in self._members(head.key):
            if entry.over:
                continue
            rows += entry.rows
            if rows > limit:
                break
            taken.append(entry)
        for entry in taken:
            self.remove(entry)
        return taken

    def _members(self, key: Hashable) -> Iterator[Entry]:
        for line in self._groups[key]:
            yield from line

    def drain(self) -> list[Entry]:
        """Take everything out."""
        entries = [entry for line in self._lines for entry in line]
        for entry in entries:
            self.remove(entry)
        return entries
