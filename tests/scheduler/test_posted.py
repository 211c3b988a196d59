"""Requests that are posted: told their outcome instead of awaiting it, by both schedulers."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from oipserver.errors import InternalError, OIPError, ResourceExhaustedError, UnavailableError
from oipserver.protocol import InferRequest, InferResponse, Pending
from oipserver.scheduler import BatchPolicy, BatchScheduler, DirectScheduler, QueuePolicy
from oipserver.telemetry.statistics import ModelStatistics
from tests.scheduler.virtual import MS, Run, ScriptedExecutor, VirtualTimeLoop, face, request, rows, run, turns


class _PostedRun(Pending[InferResponse]):
    def __init__(self, executor: PostingExecutor, run: Run) -> None:
        self._executor = executor
        self._run = run
        self._left = False

    def then(self, tell: Callable[[Any], None]) -> None:
        def ended(done: asyncio.Future[InferResponse]) -> None:
            if not self._left:
                tell(done.exception() or done.result())

        self._run.done.add_done_callback(ended)

    def cancel(self) -> None:
        self._left = True
        self._executor.cancelled += 1


class PostingExecutor(ScriptedExecutor):
    """A scripted executor that takes posted requests, as workers do."""

    posts = True

    def post(self, request: InferRequest) -> Pending[InferResponse]:
        if self.reason:
            raise UnavailableError(self.reason)
        run = Run(request)
        self.runs.append(run)
        return _PostedRun(self, run)


class Told:
    """A posted request and what was told of it."""

    def __init__(self, pending: Pending[InferResponse]) -> None:
        self.pending = pending
        self.outcomes: list[InferResponse | Exception] = []
        pending.then(self.outcomes.append)

    @property
    def rows(self) -> list[float]:
        (outcome,) = self.outcomes
        assert isinstance(outcome, InferResponse)
        return rows(outcome)

    @property
    def error(self) -> OIPError:
        (outcome,) = self.outcomes
        assert isinstance(outcome, OIPError)
        return outcome


class Bench:
    """A scheduler over a scripted executor, on virtual time."""

    def __init__(self, loop: VirtualTimeLoop, executor: ScriptedExecutor, *, batch: int = 1, queue: int = 8) -> None:
        self.loop = loop
        self.executor = executor
        self.statistics = ModelStatistics()
        if batch > 1:
            policy = BatchPolicy(max_queue_size=queue, max_batch_size=batch)
            self.scheduler: DirectScheduler = BatchScheduler("m", executor, self.statistics, policy, loop.clock)
        else:
            self.scheduler = DirectScheduler("m", executor, self.statistics, QueuePolicy(queue), loop.clock)
        self.scheduler.loaded(face(-1, 1))
        executor.changed = self.scheduler.slots_changed

    def post(self, *values: float) -> Told:
        pending = self.scheduler.post(request(*values), self.loop.clock())
        assert pending is not None
        return Told(pending)

    async def company(self) -> None:
        """Have two requests meet, so that others are expected."""
        met = [
            self.loop.create_task(self.scheduler.submit(request(0.0), self.loop.clock())),
            self.loop.create_task(self.scheduler.submit(request(0.0), self.loop.clock())),
        ]
        await turns()
        while self.executor.runs:
            self.executor.runs.pop(0).finish()
            await turns()
        await asyncio.gather(*met)
        self.executor.runs.clear()


def test_posted_requests_run_in_order_and_are_told() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, PostingExecutor())
        told = [bench.post(value) for value in (1, 2, 3)]
        for count in (1, 2, 3):
            await turns()
            assert len(bench.executor.runs) == count
            bench.executor.runs[-1].finish()
        await turns()
        assert [one.rows for one in told] == [[2], [4], [6]]
        assert bench.statistics.totals.execution_count == 3
        assert bench.scheduler.queued == 0

    run(main)


def test_what_cannot_be_posted_is_left_to_submit() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        posting = Bench(loop, PostingExecutor())
        assert posting.scheduler.post(request(1.0, deadline=loop.clock() + MS), loop.clock()) is None
        assert Bench(loop, ScriptedExecutor()).scheduler.post(request(1.0), loop.clock()) is None
        alone = Bench(loop, ScriptedExecutor(), batch=4)
        assert alone.scheduler.post(request(1.0), loop.clock()) is None

    run(main)


def test_posted_requests_in_company_run_as_one() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, ScriptedExecutor(), batch=4)
        await bench.company()
        told = [bench.post(value) for value in (1, 2, 3)]
        await turns()
        assert bench.executor.batches == [[1, 2, 3]]
        bench.executor.runs[0].finish()
        await turns()
        assert [one.rows for one in told] == [[2], [4], [6]]

    run(main)


@pytest.mark.parametrize("kind", [ScriptedExecutor, PostingExecutor])
def test_a_posted_request_that_nobody_joins_runs_alone(kind: type[ScriptedExecutor]) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, kind(), batch=4)
        await bench.company()
        told = bench.post(1)
        await turns()
        assert bench.executor.batches == [[1]]
        bench.executor.runs[0].finish()
        await turns()
        assert told.rows == [2]
        late = bench.post(5)
        await turns()
        bench.executor.runs[1].fail(InternalError("the model failed"))
        await turns()
        assert late.error.message == "the model failed"
        assert bench.scheduler._slots.held == 0

    run(main)


def test_a_full_queue_refuses_and_forgets() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        for executor, batch in ((PostingExecutor(), 1), (ScriptedExecutor(), 4)):
            bench = Bench(loop, executor, batch=batch, queue=2)
            if batch > 1:
                await bench.company()
            first = bench.post(0)
            await turns()
            waiting = [bench.post(1), bench.post(2)]
            with pytest.raises(ResourceExhaustedError, match="Exceeds maximum queue size"):
                bench.post(3)
            while not all(one.outcomes for one in (first, *waiting)):
                executor.runs[-1].finish()
                await turns()
            assert [one.rows for one in (first, *waiting)] == [[0], [2], [4]]
            assert bench.scheduler._slots.held == 0

    run(main)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_request_cancelled_in_the_queue_costs_nothing(batch: int) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, PostingExecutor(), batch=batch)
        if batch > 1:
            await bench.company()
        first = bench.post(1)
        await turns()
        second, third = bench.post(2), bench.post(3)
        second.pending.cancel()
        bench.executor.runs[0].finish()
        await turns()
        assert bench.executor.batches == [[1], [3]]
        bench.executor.runs[1].finish()
        await turns()
        assert (first.rows, second.outcomes, third.rows) == ([2], [], [6])
        assert bench.scheduler._slots.held == 0

    run(main)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_request_cancelled_while_it_runs_gives_its_slot_back(batch: int) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, PostingExecutor(), batch=batch)
        if batch > 1:
            await bench.company()
        first = bench.post(1)
        await turns()
        first.pending.cancel()
        first.pending.cancel()
        assert bench.executor.cancelled == 1
        second = bench.post(2)
        await turns()
        bench.executor.runs[0].finish()
        bench.executor.runs[1].finish()
        await turns()
        assert (first.outcomes, second.rows) == ([], [4])
        assert bench.scheduler._slots.held == 0

    run(main)


def test_a_request_cancelled_before_or_in_the_last_step_of_its_task_is_over_once() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        for last_step in (False, True):
            bench = Bench(loop, ScriptedExecutor(), batch=4)
            await bench.company()
            told = bench.post(1)
            while not told.pending._running:  # type: ignore[attr-defined]
                await turns(1)
            if last_step:
                await turns()
                bench.executor.runs[0].finish()
            told.pending.cancel()
            await turns()
            assert told.outcomes == []
            assert len(bench.executor.runs) == last_step
            assert bench.scheduler._slots.held == 0
            assert bench.scheduler._crowd.present == 0  # type: ignore[attr-defined]

    run(main)


def test_a_batch_goes_on_without_those_who_left_and_ends_when_all_have() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, ScriptedExecutor(), batch=4)
        await bench.company()
        first, second = bench.post(1), bench.post(2)
        await turns()
        first.pending.cancel()
        bench.executor.runs[0].finish()
        await turns()
        assert (first.outcomes, second.rows) == ([], [4])
        both = [bench.post(3), bench.post(4)]
        await turns()
        for one in both:
            one.pending.cancel()
        await turns()
        assert bench.executor.cancelled == 1
        assert bench.scheduler._slots.held == 0

    run(main)


def test_only_the_culprit_of_a_posted_batch_fails() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, ScriptedExecutor(), batch=4)
        await bench.company()
        good, bad = bench.post(1), bench.post(2)
        await turns()
        bench.executor.runs[0].fail(InternalError("2 is too much"))
        await turns()
        bench.executor.runs[1].finish()
        await turns()
        bench.executor.runs[2].fail(InternalError("2 is too much"))
        await turns()
        assert good.rows == [2]
        assert bad.error.message == "2 is too much"

    run(main)


def test_posted_requests_learn_that_nothing_runs_any_more() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, PostingExecutor())
        first = bench.post(1)
        waiting = bench.post(2)
        bench.executor.reason = "no worker lives"
        bench.executor.slots = 0
        assert "no worker lives" in waiting.error.message
        with pytest.raises(UnavailableError):
            bench.post(3)
        bench.executor.runs[0].finish()
        await turns()
        assert first.rows == [2]

    run(main)


def test_a_posted_request_can_be_awaited() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, PostingExecutor())

        async def ask(value: float) -> list[float]:
            pending = bench.scheduler.post(request(value), loop.clock())
            assert pending is not None
            return rows(await pending)

        first, second = loop.create_task(ask(1)), loop.create_task(ask(2))
        await turns()
        second.cancel()
        bench.executor.runs[0].finish()
        await turns()
        assert first.result() == [2]
        assert second.cancelled()
        assert bench.executor.batches == [[1]]

    run(main)


@pytest.mark.parametrize("batch", [1, 4])
def test_nothing_is_left_to_the_garbage_collector(batch: int) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, PostingExecutor(), batch=batch)
        if batch > 1:
            await bench.company()
        gc.collect()
        gc.disable()
        try:
            requests = [request(float(value)) for value in range(4)]
            seen = [weakref.ref(one.inputs[0].array) for one in requests]
            for one in requests:
                pending = bench.scheduler.post(one, loop.clock())
                assert pending is not None
                pending.then(lambda outcome: None)
            del one, requests, pending
            while bench.executor.runs or bench.scheduler.queued:
                await turns()
                if bench.executor.runs:
                    bench.executor.runs.pop(0).finish()
            await turns()
            assert [ref() for ref in seen] == [None] * 4
        finally:
            gc.enable()

    run(main)
