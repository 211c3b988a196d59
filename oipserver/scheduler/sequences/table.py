"""Which sequences there are, whose turn it is in each, and which may run; knows no request and no model, and of time
only how long a sequence may be idle."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable

from ...errors import InvalidArgumentError, OIPError, ResourceExhaustedError
from ..queue import own
from .mark import CorrelationId, SequenceMark
from .state import State

_EARLY = 1_000_000  # nanoseconds by which a timer may be early


class Turn:
    """One request of a sequence, from its arrival to its answer."""

    __slots__ = ("future", "mark", "ran", "sequence")

    def __init__(self, mark: SequenceMark, sequence: Sequence) -> None:
        self.mark = mark
        self.sequence = sequence
        self.future: asyncio.Future[None] | None = None  # where somebody waits for it to come
        self.ran = False

    def come(self) -> None:
        """End the wait: it may run now."""
        if self.future is not None and not self.future.done():
            self.future.set_result(None)

    def refuse(self, error: OIPError) -> None:
        """End the wait with ``error``."""
        if self.future is not None and not self.future.done():
            self.future.set_exception(error)


class Sequence:
    """The turns of one correlation id, in order, and the state kept between them.

    ``active``: it holds a slot. ``open``: its newest request did not end it.
    """

    __slots__ = ("active", "id", "idle_since", "open", "state", "turns")

    def __init__(self, correlation: CorrelationId) -> None:
        self.id = correlation
        self.turns: deque[Turn] = deque()
        self.active = False
        self.open = False
        self.state: State = {}
        self.idle_since = 0


class SequenceTable:
    """The sequences of one model: at most ``capacity()`` are active, the others stand in the backlog.

    A request may run when its sequence is active and all those before it in the sequence are answered. At most
    ``limit`` requests wait. A sequence ends with its END, or when it has had no request for ``idle`` nanoseconds.
    """

    def __init__(
        self, model: str, limit: int, idle: int, capacity: Callable[[], int], clock: Callable[[], int]
    ) -> None:
        self._model = model
        self._limit = limit
        self._idle_ns = idle
        self._capacity = capacity
        self._clock = clock
        self._sequences: dict[CorrelationId, Sequence] = {}
        self._backlog: OrderedDict[Sequence, None] = OrderedDict()
        self._idle: OrderedDict[Sequence, None] = OrderedDict()  # the longest idle first
        self._timer: asyncio.TimerHandle | None = None
        self._active = 0
        self._present = 0
        self._running = 0

    def __len__(self) -> int:
        """Sequences that have not ended."""
        return len(self._sequences)

    @property
    def waiting(self) -> int:
        """Requests that have not begun to run."""
        return self._present - self._running

    # -- the life of a turn --------------------------------------------------------------------------------------------

    def enter(self, mark: SequenceMark) -> Turn:
        """A new request.

        Raises InvalidArgumentError where it starts no sequence and belongs to none, ResourceExhaustedError where too
        many wait.
        """
        sequence = self._sequences.get(mark.id)
        if not mark.start and (sequence is None or not sequence.open):
            raise self._not_started(mark.id)
        if self.waiting >= self._limit:
            raise ResourceExhaustedError(
                f"model '{self._model}': Exceeds maximum queue size: {self._limit} requests of sequences wait already; "
                "try later",
                retry_after=1.0,
            )
        if sequence is None:
            sequence = self._sequences[mark.id] = Sequence(mark.id)
        self._idle.pop(sequence, None)
        turn = Turn(mark, sequence)
        sequence.turns.append(turn)
        sequence.open = not mark.end
        self._present += 1
        if not sequence.active and sequence not in self._backlog:
            self._backlog[sequence] = None
            self.settle()
        return turn

    def may_run(self, turn: Turn) -> bool:
        """Whether the turn of ``turn`` is now."""
        return turn.sequence.active and turn.sequence.turns[0] is turn

    def begin(self, turn: Turn) -> None:
        """``turn`` is given to the model."""
        turn.ran = True
        self._running += 1

    def leave(self, turn: Turn) -> None:
        """``turn`` is answered, or its caller has left."""
        sequence = turn.sequence
        first = sequence.turns[0] is turn
        self._present -= 1
        if turn.ran:
            self._running -= 1
        elif turn.mark.start:
            self._refuse_followers(turn)
        sequence.turns.remove(turn)
        if not sequence.turns:
            if sequence.open:
                self._rest(sequence)
            else:
                self._end(sequence)
        elif turn.ran and turn.mark.end and self._backlog:
            # What follows is another sequence of the same name: those in the backlog came before it.
            self._release(sequence)
            self._backlog[sequence] = None
            self.settle()
        elif first:
            self._wake(sequence)

    def _not_started(self, correlation: CorrelationId) -> InvalidArgumentError:
        return InvalidArgumentError(
            f"inference request for sequence {correlation} to model '{self._model}' must specify the START flag on "
            "the first request of the sequence"
        )

    def _refuse_followers(self, lost: Turn) -> None:
        """``lost`` was to start a sequence and never ran: those that were to go on from it cannot."""
        sequence = lost.sequence
        turns = list(sequence.turns)
        for turn in turns[turns.index(lost) + 1 :]:
            if turn.mark.start:
                return
            turn.refuse(self._not_started(sequence.id))
        sequence.open = False

    def fail_waiting(self, error: OIPError) -> None:
        """Nobody's turn will come."""
        for sequence in list(self._sequences.values()):
            for turn in list(sequence.turns):
                turn.refuse(own(error))

    def lose(self, error: OIPError) -> None:
        """What the model knew of its sequences is gone: nobody goes on with one, and those who wait to get ``error``.

        Who waits to start one, and those behind, may still do so.
        """
        for sequence in list(self._sequences.values()):
            for turn in sequence.turns:
                if turn.mark.start and not turn.ran:
                    break
                turn.refuse(own(error))
            else:
                sequence.open = False
                if not sequence.turns:
                    del self._idle[sequence]
                    self._end(sequence)

    def close(self) -> None:
        """Set no timer any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._idle.clear()

    # -- slots ---------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Give free slots to those who have waited longest."""
        while self._backlog and self._active < self._capacity():
            sequence, _ = self._backlog.popitem(last=False)
            sequence.active = True
            self._active += 1
            self._wake(sequence)

    def _wake(self, sequence: Sequence) -> None:
        if sequence.active:
            sequence.turns[0].come()

    def _release(self, sequence: Sequence) -> None:
        sequence.active = False
        self._active -= 1

    def _end(self, sequence: Sequence) -> None:
        del self._sequences[sequence.id]
        self._backlog.pop(sequence, None)
        if sequence.active:
            self._release(sequence)
            self.settle()

    # -- idle sequences ------------------------------------------------------------------------------------------------

    def _rest(self, sequence: Sequence) -> None:
        sequence.idle_since = self._clock()
        self._idle[sequence] = None
        if self._timer is None:
            self._watch()

    def _watch(self) -> None:
        """Come back when the longest idle sequence has been idle for too long."""
        longest = next(iter(self._idle))
        remaining = longest.idle_since + self._idle_ns - self._clock()
        self._timer = asyncio.get_running_loop().call_later(max(remaining, _EARLY) / 1e9, self._expire)

    def _expire(self) -> None:
        self._timer = None
        over = self._clock() - self._idle_ns + _EARLY
        while self._idle:
            sequence = next(iter(self._idle))
            if sequence.idle_since > over:
                self._watch()
                return
            del self._idle[sequence]
            self._end(sequence)
