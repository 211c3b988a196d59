"""The scheduler of models that do not batch: every request runs alone, as soon as a slot is free."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from time import monotonic_ns

from ..errors import DeadlineExceededError, OIPError, UnavailableError
from ..executor import Executor
from ..protocol import InferRequest, InferResponse, Pending, Timings
from ..runtime import ModelFace
from ..telemetry.statistics import ModelStatistics
from .base import Scheduler
from .policy import QueuePolicy
from .posted import PostedEntry, PostedExecution, PostedTask
from .queue import Entry, RequestQueue, own
from .slots import Slots

# Timers below this are not worth setting (uvloop's have whole milliseconds), and a request that could run in this very
# turn of the loop is not to expire for want of microseconds.
_SHORTEST_WAIT = 0.001


class DirectScheduler(Scheduler):
    """One request per execution; those who find no slot wait in order of priority, then of arrival."""

    def __init__(
        self,
        name: str,
        executor: Executor,
        statistics: ModelStatistics,
        policy: QueuePolicy,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._name = name
        self._executor = executor
        self._statistics = statistics
        self._queueing = policy
        self._clock = clock
        self._queue = RequestQueue(name, policy)
        self._slots = Slots(self._capacity, self._freed)
        self._has_rows = True
        self._closed = False

    @property
    def queued(self) -> int:
        return len(self._queue)

    def loaded(self, face: ModelFace) -> None:
        # Where the first dimension is not the batch's, a request counts as one inference.
        free = all(tensor.shape[:1] == (-1,) for tensor in face.metadata.inputs)
        self._has_rows = free and not self._queueing.batchless

    def _capacity(self) -> int:
        """How many requests the executor may have at once."""
        return self._executor.slots + self._executor.ahead

    def slots_changed(self) -> None:
        if reason := self._executor.unavailable_reason:
            self._fail_queued(self._unavailable(reason))
        else:
            self._pump()

    async def close(self) -> None:
        self._closed = True
        self._fail_queued(self._unavailable("it is being unloaded"))

    # -- the ways in ---------------------------------------------------------------------------------------------------

    async def submit(self, request: InferRequest, received: int) -> InferResponse:
        self._require_available()
        if not self._slots.try_acquire():
            await self._turn(request, received)
        return await self._alone(request, received)

    def post(self, request: InferRequest, received: int) -> Pending[InferResponse] | None:
        self._require_available()
        if request.deadline is not None or not self._executor.posts:
            return None
        if self._slots.try_acquire():
            return self._post_here(request, received)
        entry = Entry(request, received, self._queueing.line(request.parameters))
        self._enqueue(entry)
        self._pump()
        return PostedEntry(self, entry)

    def submit_now(self, request: InferRequest, received: int) -> InferResponse | None:
        self._require_available()
        if not self._executor.runs_inline or not self._slots.try_acquire():
            return None
        return self._run_here(request, received)

    def submit_here(self, request: InferRequest, received: int) -> InferResponse | None:
        self._require_available()
        return self._run_here(request, received) if self._slots.try_acquire() else None

    def _run_here(self, request: InferRequest, received: int) -> InferResponse | None:
        """Run ``request`` in the calling thread and the slot that it holds, and give the slot back."""
        try:
            dispatched = self._clock()
            if request.deadline is not None and dispatched >= request.deadline:
                raise self._too_late()
            response = self._executor.execute_here(request)
            if response is not None:
                self._stamp(request, response, received, dispatched)
            return response
        finally:
            self._slots.release()

    async def stream(self, request: InferRequest, received: int) -> AsyncIterator[InferResponse]:
        self._require_available()
        if not self._slots.try_acquire():
            await self._turn(request, received)
        first: InferResponse | None = None
        last: InferResponse | None = None
        answers = self._executor.stream(request)
        try:
            dispatched = self._clock()
            while True:
                try:
                    last = await self._in_time(partial(anext, answers), request.deadline)
                except StopAsyncIteration:
                    return
                timings = _timings(last)
                timings.received, timings.dispatched = received, dispatched
                first = first or last
                yield last
        finally:
            try:
                if (close := getattr(answers, "aclose", None)) is not None:
                    await close()  # now, not when the garbage collector comes by: the model's code is to stop
            finally:
                self._slots.release()
                if first is not None and last is not None:
                    self._record_stream(request, _timings(first), _timings(last))

    # -- waiting -------------------------------------------------------------------------------------------------------

    async def _turn(self, request: InferRequest, received: int) -> None:
        """Wait until the caller holds a slot."""
        level = self._queueing.line(request.parameters)
        entry = Entry(request, received, level)
        self._enqueue(entry)
        self._pump()
        await self._outcome(entry)

    def _enqueue(self, entry: Entry, *, bounded: bool = True) -> None:
        """Put ``entry`` into the queue and watch its deadline. Whoever calls sees to a later ``_pump``."""
        if bounded:
            self._queue.add(entry)
        else:
            self._queue.put(entry)
        deadline = self._queueing.queue_deadline(entry.request, entry.received, entry.level)
        if deadline is not None:
            self._watch(entry, deadline)

    def _watch(self, entry: Entry, deadline: int) -> None:
        remaining = (deadline - self._clock()) / 1e9
        entry.timer = asyncio.get_running_loop().call_later(max(remaining, _SHORTEST_WAIT), self._expire, entry)

    async def _outcome(self, entry: Entry) -> InferResponse | None:
        """Wait for the end of ``entry``: an answer, or None where the caller holds a slot now. Raises OIPError."""
        try:
            outcome = await entry.wait()
        except asyncio.CancelledError:
            self._abandon(entry)
            raise
        if isinstance(outcome, OIPError):
            raise outcome
        return outcome

    def _abandon(self, entry: Entry) -> None:
        """The caller of ``entry`` has left: nothing more is to be done for it."""
        if entry.leave():
            self._forget(entry)
        elif entry.outcome is None:
            self._slots.release()  # it was handed over in the moment the caller left

    def _expire(self, entry: Entry) -> None:
        if entry.over:
            return
        deadline, policy = entry.request.deadline, self._queueing
        patience = policy.patience(entry.request, entry.received, entry.level) if entry.batch is None else None
        rule = policy.rule(entry.level)
        if rule is None or patience is None or (deadline is not None and deadline < patience):
            queued = self._forget(entry)
            waited = "Request timeout expired while it was queued" if queued else "deadline exceeded"
            entry.finish(self._too_late(waited))
        elif rule.delays:
            self._queue.delay(entry)
            if deadline is not None:
                self._watch(entry, deadline)
        else:
            self._forget(entry)
            entry.finish(UnavailableError(f"model '{self._name}': Request timeout expired", retry_after=1.0))

    def _forget(self, entry: Entry) -> bool:
        """Take ``entry`` out of the queue; False where it was not in."""
        removed = self._queue.remove(entry)
        if removed and not self._queue:
            self._slots.want(False)
        return removed

    def _fail_queued(self, error: OIPError) -> None:
        for entry in self._queue.drain():
            entry.finish(own(error))
        self._slots.want(False)

    def _freed(self) -> None:
        """A slot may be free."""
        self._pump()

    def _pump(self) -> None:
        """Hand free slots to those who wait."""
        queue = self._queue
        while (entry := queue.head()) is not None:
            if not self._slots.claim():
                return
            queue.remove(entry)
            entry.finish(None)
        self._slots.want(False)

    # -- posted requests -----------------------------------------------------------------------------------------------

    def _post_here(self, request: InferRequest, received: int) -> PostedExecution:
        """Begin to run ``request`` in the slot that the caller holds. Raises OIPError, giving the slot back."""
        dispatched = self._clock()
        try:
            execution = self._executor.post(request)
        except BaseException:
            self._slots.release()
            raise
        return PostedExecution(self, execution, request, received, dispatched)

    def executed(self, posted: PostedExecution, outcome: InferResponse | Exception | None) -> None:
        """A posted request has run."""
        try:
            if isinstance(outcome, InferResponse):
                self._stamp(posted.request, outcome, posted.received, posted.dispatched)
        finally:
            self._slots.release()

    def run_posted(self, entry: Entry) -> Pending[InferResponse]:
        """Run a posted request in the slot that it was given."""
        request, received = entry.request, entry.received
        if self._executor.posts and request.deadline is None:
            return self._post_here(request, received)
        return PostedTask(self._alone(request, received), self._slots.release)

    def gone(self, entry: Entry, *, abandoned: bool) -> None:
        """A posted request has its outcome, or its caller has left."""
        if abandoned:
            self._abandon(entry)

    # -- running one request -------------------------------------------------------------------------------------------

    async def _alone(self, request: InferRequest, received: int) -> InferResponse:
        """Run ``request`` in the slot that the caller holds, and give the slot back."""
        try:
            dispatched = self._clock()
            deadline = request.deadline
            if deadline is None or (dispatched < deadline and self._executor.runs_inline):
                response = await self._executor.execute(request)
            else:
                response = await self._in_time(partial(self._executor.execute, request), deadline)
            self._stamp(request, response, received, dispatched)
            return response
        finally:
            self._slots.release()

    def _stamp(self, request: InferRequest, response: InferResponse, received: int, dispatched: int) -> None:
        timings = response.timings
        assert timings is not None, "an executor stamps every response"
        timings.received, timings.dispatched = received, max(dispatched, timings.dispatched)
        timings.finished = self._clock()
        self._statistics.record_execution(self._rows(request), timings)

    async def _in_time(self, start: Callable[[], Awaitable[InferResponse]], deadline: int | None) -> InferResponse:
        """What ``start()`` leads to. Raises DeadlineExceededError, without starting where ``deadline`` has passed."""
        if deadline is None:
            return await start()
        remaining = deadline - self._clock()
        if remaining <= 0:
            raise self._too_late()
        limit = asyncio.timeout(remaining / 1e9)
        try:
            async with limit:
                return await start()
        except TimeoutError:
            if not limit.expired():
                raise
            raise self._too_late() from None

    def _rows(self, request: InferRequest) -> int:
        shape = request.inputs[0].shape if self._has_rows and request.inputs else ()
        return shape[0] if shape else 1

    def _record_stream(self, request: InferRequest, first: Timings, last: Timings) -> None:
        """A stream is one execution, however many answers it had."""
        self._statistics.record_execution(
            self._rows(request),
            Timings(first.received, first.dispatched, first.infer_start, last.infer_end, self._clock()),
        )

    # -- errors --------------------------------------------------------------------------------------------------------

    def _require_available(self) -> None:
        if self._closed or self._executor.unavailable_reason:
            raise self._unavailable("it is being unloaded" if self._closed else self._executor.unavailable_reason)

    def _unavailable(self, reason: str) -> UnavailableError:
        return UnavailableError(f"model '{self._name}' is not available: {reason}", retry_after=1.0)

    def _too_late(self, what: str = "deadline exceeded") -> DeadlineExceededError:
        return DeadlineExceededError(f"model '{self._name}': {what}")


def _timings(response: InferResponse) -> Timings:
    assert response.timings is not None, "an executor stamps every response"
    return response.timings
