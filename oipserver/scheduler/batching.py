"""The adaptive batcher: requests that wait together run together, and nobody waits for the sake of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable
from time import monotonic_ns

from ..errors import (
    CancelledError,
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    OIPError,
    ResourceExhaustedError,
    UnavailableError,
)
from ..executor import Executor
from ..protocol import InferRequest, InferResponse, Pending
from ..runtime import ModelFace
from ..telemetry.statistics import ModelStatistics
from .batch import Batch
from .compatible import batch_key, batch_rows
from .crowd import Crowd
from .direct import DirectScheduler
from .holding import Holding
from .merge import merge, pieces, reunite, split
from .policy import BatchPolicy
from .posted import PostedEntry
from .queue import Entry, own

_log = logging.getLogger(__name__)

# Failures of the place where models run, not of one request: running each of them again would not help.
COMMON_FAILURES = (CancelledError, DeadlineExceededError, ResourceExhaustedError, UnavailableError)


class BatchScheduler(DirectScheduler):
    """Runs what is queued and compatible as one execution whenever a slot is free; while none is, requests gather.

    A request that meets nobody runs at once in its caller's own coroutine, as with the DirectScheduler. Requests that
    lately met others wait until the loop has read what else has come (``call_soon``), and run together.

    With ``max_batch_time`` a batch that is not full may be held back although a slot is free: see Holding.
    """

    def __init__(
        self,
        name: str,
        executor: Executor,
        statistics: ModelStatistics,
        policy: BatchPolicy,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        super().__init__(name, executor, statistics, policy, clock)
        self._policy = policy
        self._crowd = Crowd(policy.max_batch_time)
        self._merges = True
        self._model_sees_headers = True
        self._pump_asked = False
        self._ran_this_turn = False  # a request was run at once since the loop last looked for what came
        self._holding = (
            Holding(policy, self._queue, self._slots, executor, self._crowd, clock, self._pump)
            if policy.max_batch_time
            else None
        )
        self._running: set[Batch] = set()

    def _capacity(self) -> int:
        return self._executor.slots  # what would wait in the executor could still join a batch

    def loaded(self, face: ModelFace) -> None:
        super().loaded(face)
        self._model_sees_headers = not face.fast
        fixed = [tensor for tensor in face.metadata.inputs if tensor.shape[:1] != (-1,)]
        self._merges = not fixed
        if fixed:
            _log.warning(
                "model '%s' runs unbatched although max_batch_size is %d: the first dimension of input '%s' (shape %s) "
                "is fixed, and batches need it to be -1",
                self._name,
                self._policy.max_batch_size,
                fixed[0].name,
                list(fixed[0].shape),
            )

    async def close(self) -> None:
        await super().close()
        if self._holding is not None:
            self._holding.stop()

    # -- the ways in ---------------------------------------------------------------------------------------------------

    async def submit(self, request: InferRequest, received: int) -> InferResponse:
        self._require_available()
        crowd = self._crowd
        crowd.enter(received)
        try:
            if crowd.size == 1 and self._may_run_now(request, received):
                return await self._alone(request, received)
            return await self._together(request, received)
        finally:
            crowd.leave(self._clock() if crowd.present > 1 else 0)

    def post(self, request: InferRequest, received: int) -> Pending[InferResponse] | None:
        crowd = self._crowd
        if not (crowd.present or crowd.lately(received)) or self._splits(request):
            return None
        self._require_available()
        entry = self._entry(request, received)
        crowd.enter(received)
        try:
            self._enqueue(entry)
        except BaseException:
            crowd.leave(received)
            raise
        self._ask_pump()
        return PostedEntry(self, entry)

    def gone(self, entry: Entry, *, abandoned: bool) -> None:
        super().gone(entry, abandoned=abandoned)
        crowd = self._crowd
        crowd.leave(self._clock() if crowd.present > 1 else 0)

    def submit_now(self, request: InferRequest, received: int) -> InferResponse | None:
        crowd = self._crowd
        if crowd.present or crowd.lately(received) or not self._executor.runs_inline:
            return None
        self._require_available()
        return self._run_here(request, received) if self._may_run_now(request, received) else None

    def submit_here(self, request: InferRequest, received: int) -> InferResponse | None:
        # In company a batch is worth more than the hop to the loop that it costs.
        if self._crowd.lately(received) or self._splits(request):
            return None
        return super().submit_here(request, received)

    def _may_run_now(self, request: InferRequest, received: int) -> bool:
        """Whether ``request``, alone as far as is known, may run at once; the caller holds a slot then."""
        if self._splits(request):
            return False
        if self._ran_this_turn or not self._slots.try_acquire():
            self._crowd.meet(received)  # another came in the same turn of the loop, or runs in a thread of its own
            return False
        self._ran_this_turn = True
        asyncio.get_running_loop().call_soon(self._turn_over)
        return True

    def _turn_over(self) -> None:
        self._ran_this_turn = False

    def _splits(self, request: InferRequest) -> bool:
        policy = self._policy
        return policy.independent_rows and self._merges and batch_rows(request) > policy.max_batch_size

    async def _together(self, request: InferRequest, received: int) -> InferResponse:
        if self._splits(request):
            return await self._in_pieces(request, received)
        entry = self._entry(request, received)
        self._enqueue(entry)
        self._ask_pump()
        answer = await self._outcome(entry)
        return await self._alone(request, received) if answer is None else answer

    async def _in_pieces(self, request: InferRequest, received: int) -> InferResponse:
        """Run a request that is larger than a batch as several; it counts once against the queue's bound."""
        parts = pieces(request, batch_rows(request), self._policy.max_batch_size)
        entries: list[Entry] = []
        try:
            for part in parts:
                entry = self._entry(part, received, piece=True)
                self._enqueue(entry, bounded=not entries)
                entries.append(entry)
            self._ask_pump()
            answers = [answer for entry in entries if (answer := await self._outcome(entry)) is not None]
        except (OIPError, asyncio.CancelledError):
            for entry in entries:
                self._abandon(entry)
            raise
        return reunite(answers, self._name)

    def _entry(self, request: InferRequest, received: int, *, piece: bool = False) -> Entry:
        rows = batch_rows(request)
        key = self._key(request) if rows and self._merges else None
        level = self._policy.line(request.parameters)
        return Entry(request, received, level, key=key, rows=rows or 1, piece=piece)

    def _key(self, request: InferRequest) -> Hashable | None:
        return batch_key(request, headers=self._model_sees_headers)

    def _forget(self, entry: Entry) -> bool:
        batch, entry.batch = entry.batch, None
        if batch is None:
            return super()._forget(entry)
        batch.remaining -= 1
        # A task that has not taken its first step would never give its slot back: it will see that nobody is left.
        if not batch.remaining and batch.started and batch.task is not None:
            batch.task.cancel()
        return False

    # -- choosing ------------------------------------------------------------------------------------------------------

    def _ask_pump(self) -> None:
        """Look at the queue once the loop has handed out everything it has read."""
        if not self._pump_asked:
            self._pump_asked = True
            asyncio.get_running_loop().call_soon(self._asked_pump)

    def _asked_pump(self) -> None:
        self._pump_asked = False
        self._pump()

    def _freed(self) -> None:
        if self._holding is not None:
            self._ask_pump()  # those just answered leave first: whether to wait for them depends on who is here
        else:
            self._pump()

    def _pump(self) -> None:
        queue, holding = self._queue, self._holding
        while (head := queue.head()) is not None:
            chosen = head if holding is None else holding.choose(head)
            if chosen is None:
                break
            if not self._slots.claim():
                return
            self._dispatch(queue.take(chosen, self._policy.cut(queue.rows_like(chosen))))
        self._slots.want(bool(queue))

    # -- running -------------------------------------------------------------------------------------------------------

    def _dispatch(self, entries: list[Entry]) -> None:
        """Run ``entries`` in the slot just claimed."""
        if self._holding is not None:
            self._holding.dispatched(entries)
        first = entries[0]
        if len(entries) == 1 and not first.piece:
            first.finish(None)  # its caller runs it: that spares a task
            return
        batch = Batch(entries)
        for entry in entries:
            entry.batch = batch
            entry.stop_timer()
            if entry.request.deadline is not None:
                self._watch(entry, entry.request.deadline)
        batch.task = asyncio.get_running_loop().create_task(self._run(batch))
        self._running.add(batch)

    async def _run(self, batch: Batch) -> None:
        batch.started = True
        try:
            entries = [entry for entry in batch.entries if not entry.over]
            if entries:
                await self._execute(entries)
        except OIPError as error:
            self._fail(batch, error)
        except Exception as error:
            _log.exception("model '%s': a batch failed for a reason outside of the model", self._name)
            self._fail(batch, InternalError(f"model '{self._name}': {type(error).__name__} while running a batch"))
        except asyncio.CancelledError:
            self._fail(batch, self._unavailable("its execution was interrupted"))
            raise
        finally:
            self._running.discard(batch)
            batch.dissolve()
            self._slots.release()

    async def _execute(self, entries: list[Entry]) -> None:
        """Run ``entries`` as one and answer those who still wait. Raises OIPError."""
        dispatched = self._clock()
        try:
            merged = merge([entry.request for entry in entries]) if len(entries) > 1 else entries[0].request
        except InvalidArgumentError:
            self._one_by_one(entries)  # nothing has run: whose mistake it is shows when each runs alone
            return
        try:
            response = await self._executor.execute(merged)
        except COMMON_FAILURES:
            raise
        except OIPError:
            if len(entries) == 1 or self._policy.stateful:
                raise
            self._one_by_one(entries)
            return
        rows = [entry.rows for entry in entries]
        timings = response.timings
        assert timings is not None, "an executor stamps every response"
        timings.dispatched = dispatched
        answers = split(response, rows, self._name)
        timings.finished = self._clock()
        self._statistics.record_execution(sum(rows), timings)
        for entry, answer in zip(entries, answers, strict=True):
            if answer.timings is not None:
                answer.timings.received, answer.timings.finished = entry.received, timings.finished
            entry.finish(answer)

    def _one_by_one(self, entries: list[Entry]) -> None:
        """Back into the queue, before all others, each to run alone: only the culprit of a failure is to fail.

        Raises UnavailableError where nothing runs any more.
        """
        self._require_available()
        for entry in reversed(entries):
            if not entry.over:
                entry.batch = entry.key = None
                self._queue.put(entry, first=True)
        self._slots.want(True)  # the slot that this batch gives back is for them

    def _fail(self, batch: Batch, error: OIPError) -> None:
        for entry in batch.entries:
            if entry.batch is batch:
                entry.finish(own(error))
