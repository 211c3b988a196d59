"""The scheduler of models that keep sequences apart: each one's requests in order, those of different ones together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, contextmanager
from dataclasses import replace
from time import monotonic_ns
from typing import TYPE_CHECKING, cast

from ...errors import DeadlineExceededError, InternalError, InvalidArgumentError, UnavailableError
from ...executor import Executor
from ...protocol import InferRequest, InferResponse, RequestedOutput
from ...runtime import ModelFace
from ..base import Scheduler
from ..compatible import batch_rows
from ..policy import QueuePolicy
from .mark import read_mark, without_mark
from .rules import SequenceRules
from .table import SequenceTable, Turn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator


class SequenceScheduler(Scheduler):
    """Lets a request through to ``inner`` when its turn in its sequence has come, with the inputs that tell the model
    of the sequence and of its state; ``inner`` puts those of different sequences together where the model batches.

    Raises InvalidArgumentError for a request that belongs to no sequence or has more than one row; others as Scheduler.
    """

    def __init__(
        self,
        name: str,
        inner: Scheduler,
        executor: Executor,
        rules: SequenceRules,
        policy: QueuePolicy,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._name = name
        self._inner = inner
        self._executor = executor
        self._rules = rules
        self._policy = policy
        self._clock = clock
        self._table = SequenceTable(name, policy.max_queue_size, rules.idle, self._capacity, clock)
        self._answers: tuple[str, ...] = rules.answers or ()
        self._closed = False

    def _capacity(self) -> int:
        return self._executor.slots * self._rules.candidates

    @property
    def sequences(self) -> int:
        """Sequences that have not ended."""
        return len(self._table)

    @property
    def queued(self) -> int:
        return self._table.waiting + self._inner.queued

    def loaded(self, face: ModelFace) -> None:
        self._inner.loaded(face)
        if self._rules.answers is None:
            kept = self._rules.kept_outputs
            self._answers = tuple(tensor.name for tensor in face.metadata.outputs if tensor.name not in kept)

    def slots_changed(self) -> None:
        if not self._executor.slots and not self._rules.states:
            self._table.lose(
                InternalError(f"model '{self._name}': the worker that knew this sequence is gone: start it again")
            )
        if reason := self._executor.unavailable_reason:
            self._table.fail_waiting(self._unavailable(reason))
        else:
            self._table.settle()
        self._inner.slots_changed()

    async def close(self) -> None:
        self._closed = True
        self._table.close()
        self._table.fail_waiting(self._unavailable("it is being unloaded"))
        await self._inner.close()

    # -- the ways in ---------------------------------------------------------------------------------------------------

    async def submit(self, request: InferRequest, received: int) -> InferResponse:
        with self._turn(request) as turn:
            await self._come(turn, request, received)
            response = await self._inner.submit(self._begin(turn, request), received)
            return self._finished(turn, request, response)

    async def stream(self, request: InferRequest, received: int) -> AsyncIterator[InferResponse]:
        with self._turn(request) as turn:
            await self._come(turn, request, received)
            answers = cast("AsyncGenerator[InferResponse]", self._inner.stream(self._begin(turn, request), received))
            async with aclosing(answers):
                async for response in answers:
                    yield self._finished(turn, request, response)

    @contextmanager
    def _turn(self, request: InferRequest) -> Iterator[Turn]:
        """Its place in its sequence, for as long as ``request`` is here."""
        if self._closed or self._executor.unavailable_reason:
            raise self._unavailable(self._executor.unavailable_reason or "it is being unloaded")
        mark = read_mark(request, self._name)
        if self._rules.batched and batch_rows(request) != 1:
            raise InvalidArgumentError(
                f"inference request to model '{self._name}' must specify batch-size 1 due to requirements of sequence "
                "batcher: every input needs 1 as its first dimension"
            )
        self._rules.controls.identity(mark.id)  # whether the model takes such an id at all
        turn = self._table.enter(mark)
        try:
            yield turn
        finally:
            self._table.leave(turn)

    async def _come(self, turn: Turn, request: InferRequest, received: int) -> None:
        """Wait for ``turn``. Raises OIPError."""
        if self._table.may_run(turn):
            return
        loop = asyncio.get_running_loop()
        turn.future = loop.create_future()
        timer: asyncio.TimerHandle | None = None
        deadline = self._policy.queue_deadline(request, received)
        if deadline is not None:
            timer = loop.call_later((deadline - self._clock()) / 1e9, turn.refuse, self._too_late())
        try:
            await turn.future
        finally:
            if timer is not None:
                timer.cancel()

    # -- what the model is told, and what it tells ---------------------------------------------------------------------

    def _begin(self, turn: Turn, request: InferRequest) -> InferRequest:
        """``request`` as the model is to have it, now that it runs."""
        rules, sequence, mark = self._rules, turn.sequence, turn.mark
        self._table.begin(turn)
        if mark.start:
            sequence.state = rules.states.initial()
        given = [*rules.controls.flags(mark), *rules.controls.identity(mark.id), *sequence.state.values()]
        outputs = request.outputs
        if rules.states:
            outputs = self._with_states(outputs or [RequestedOutput(name) for name in self._answers])
        parameters = request.parameters if rules.keeps_marks else without_mark(request.parameters)
        return replace(request, inputs=[*request.inputs, *given], outputs=outputs, parameters=parameters)

    def _with_states(self, outputs: list[RequestedOutput]) -> list[RequestedOutput]:
        asked = {output.name for output in outputs}
        if not asked:
            return outputs  # all there are
        return [*outputs, *[RequestedOutput(name) for name in self._rules.states.outputs if name not in asked]]

    def _finished(self, turn: Turn, request: InferRequest, response: InferResponse) -> InferResponse:
        """Keep the state in ``response``, and leave in it what was asked for."""
        states = self._rules.states
        if states:
            turn.sequence.state = states.after(response)
            asked, kept = {output.name for output in request.outputs}, self._rules.kept_outputs
            response.outputs = [
                tensor for tensor in response.outputs if (tensor.name in asked if asked else tensor.name not in kept)
            ]
        return response

    # -- errors --------------------------------------------------------------------------------------------------------

    def _unavailable(self, reason: str) -> UnavailableError:
        return UnavailableError(f"model '{self._name}' is not available: {reason}", retry_after=1.0)

    def _too_late(self) -> DeadlineExceededError:
        return DeadlineExceededError(f"model '{self._name}': Request timeout expired while its sequence was busy")
