"""DirectScheduler: one execution per request, bounded waiting, deadlines and streams."""

import asyncio
import threading

import pytest

from oipserver.errors import DeadlineExceededError, InternalError, ResourceExhaustedError, UnavailableError
from oipserver.scheduler import DirectScheduler, QueuePolicy
from oipserver.telemetry.statistics import ModelStatistics
from tests.scheduler.virtual import (
    MS,
    ScriptedExecutor,
    VirtualTimeLoop,
    doubled,
    error_of,
    face,
    request,
    rows,
    run,
    turns,
)


class Bench:
    """A scheduler over a scripted executor, on virtual time."""

    def __init__(self, loop: VirtualTimeLoop, executor: ScriptedExecutor | None = None, **policy: int) -> None:
        self.loop = loop
        self.executor = executor or ScriptedExecutor()
        self.statistics = ModelStatistics()
        self.scheduler = DirectScheduler(
            "m", self.executor, self.statistics, QueuePolicy(**{"max_queue_size": 8, **policy}), loop.clock
        )
        self.executor.changed = self.scheduler.slots_changed

    def send(self, *values: float, **more: object) -> "asyncio.Task[list[float]]":
        async def answer() -> list[float]:
            return rows(await self.scheduler.submit(request(*values, **more), self.loop.clock()))

        return self.loop.create_task(answer())


def test_requests_run_one_by_one_in_order_of_arrival() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        tasks = [bench.send(value) for value in (1, 2, 3)]
        for value in (1, 2, 3):
            await turns()
            assert bench.executor.batches == [[float(v)] for v in range(1, value + 1)]
            bench.executor.runs[-1].finish()
        assert await asyncio.gather(*tasks) == [[2], [4], [6]]
        assert bench.statistics.totals.execution_count == 3
        assert bench.scheduler.queued == 0

    run(main)


def test_a_full_queue_refuses_at_once() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, max_queue_size=1)
        first, second = bench.send(1), bench.send(2)
        await turns()
        error = await error_of(bench.send(3))
        assert isinstance(error, ResourceExhaustedError)
        assert "Exceeds maximum queue size" in error.message
        assert error.retry_after
        for _ in (first, second):
            await turns()
            bench.executor.runs[-1].finish()
        assert await first == [2]
        assert await second == [4]

    run(main)


def test_a_cancelled_waiter_costs_nothing_and_the_next_one_runs() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        first, second, third = (bench.send(value) for value in (1, 2, 3))
        await turns()
        second.cancel()
        await turns()
        assert bench.scheduler.queued == 1
        bench.executor.runs[0].finish()
        await turns()
        bench.executor.runs[1].finish()
        assert await first == [2]
        assert await third == [6]
        assert bench.executor.batches == [[1], [3]]
        assert second.cancelled()

    run(main)


def test_a_slot_is_not_handed_to_a_caller_who_has_just_been_cancelled() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        first, second, third = (bench.send(value) for value in (1, 2, 3))
        await turns()
        second.cancel()  # still in the queue: it has not run since
        bench.executor.slots = 2
        await turns()
        assert bench.executor.batches == [[1], [3]]
        for under_way in bench.executor.runs:
            under_way.finish()
        assert await asyncio.gather(first, third) == [[2], [6]]

    run(main)


def test_a_slot_handed_to_a_caller_who_leaves_at_that_moment_is_not_lost() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        first, second, third = (bench.send(value) for value in (1, 2, 3))
        await turns()
        bench.executor.slots = 2
        assert bench.scheduler.queued == 1  # the second has been handed a slot, but has not run since
        second.cancel()
        await turns()
        assert bench.executor.batches == [[1], [3]]
        for under_way in bench.executor.runs:
            under_way.finish()
        assert await asyncio.gather(first, third) == [[2], [6]]

    run(main)


@pytest.mark.parametrize(
    ("policy", "more", "after"),
    [
        ({"queue_timeout": 50 * MS}, {}, 0.05),
        ({}, {"parameters": {"timeout": 20_000}}, 0.02),
        ({"queue_timeout": 50 * MS}, {"parameters": {"timeout": 20_000}}, 0.02),
        ({"queue_timeout": 10 * MS}, {"parameters": {"timeout": 20_000}}, 0.01),
        ({"queue_timeout": 50 * MS}, {"deadline": 1_030_000 * MS}, 0.03),
    ],
)
def test_a_request_waits_no_longer_than_its_deadline(policy: dict, more: dict, after: float) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, **policy)
        bench.executor.slots = 0
        if "deadline" in more:
            more["deadline"] = loop.clock() + 30 * MS
        start = loop.time()
        error = await error_of(bench.send(1, **more))
        assert isinstance(error, DeadlineExceededError)
        assert "Request timeout expired" in error.message
        assert loop.time() - start == pytest.approx(after)
        assert bench.scheduler.queued == 0
        assert bench.executor.runs == []

    run(main)


@pytest.mark.parametrize("timeout", [0, -5, True, 0.5, "30s"])
def test_a_timeout_parameter_of_another_kind_is_the_models_business(timeout: object) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        bench.executor.slots = 0
        task = bench.send(1, parameters={"timeout": timeout})
        await asyncio.sleep(3600)
        bench.executor.slots = 1
        await turns()
        bench.executor.runs[0].finish()
        assert await task == [2]

    run(main)


def test_a_deadline_ends_an_execution_and_frees_its_slot() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        error = await error_of(bench.send(1, deadline=loop.clock() + 5 * MS))
        assert isinstance(error, DeadlineExceededError)
        assert bench.executor.cancelled == 1
        task = bench.send(2)
        await turns()
        bench.executor.runs[1].finish()
        assert await task == [4]

    run(main)


def test_a_request_whose_deadline_has_passed_never_reaches_the_model() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        for executor in (ScriptedExecutor(), ScriptedExecutor(answer=doubled)):
            bench = Bench(loop, executor)
            assert isinstance(await error_of(bench.send(1, deadline=loop.clock())), DeadlineExceededError)
            assert executor.runs == []
            with pytest.raises(DeadlineExceededError):
                bench.scheduler.submit_here(request(1, deadline=loop.clock()), loop.clock())
            assert executor.runs == []

    run(main)


def test_priorities_are_served_first_and_unknown_ones_count_as_the_default() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, max_queue_size=9, priority_levels=3)
        bench.executor.slots = 0
        wanted = [(1, 3), (2, None), (3, 1), (4, 7), (5, "high"), (6, 2), (7, 1), (8, True)]
        tasks = [
            bench.send(value, parameters={} if priority is None else {"priority": priority})
            for value, priority in wanted
        ]
        await turns()
        bench.executor.slots = 1
        for _ in tasks:
            await turns()
            bench.executor.runs[-1].finish()
        await asyncio.gather(*tasks)
        assert [row for (row,) in bench.executor.batches] == [3, 7, 2, 4, 5, 6, 8, 1]

    run(main)


def test_more_slots_let_waiters_run_and_an_unavailable_executor_fails_them() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        tasks = [bench.send(value) for value in (1, 2, 3, 4)]
        await turns()
        bench.executor.slots = 3
        await turns()
        assert bench.executor.batches == [[1], [2], [3]]
        bench.executor.reason = "its workers keep dying"
        bench.executor.changed()
        error = await error_of(tasks[3])
        assert isinstance(error, UnavailableError)
        assert "its workers keep dying" in error.message
        assert "its workers keep dying" in (await error_of(bench.send(5))).message
        for under_way in bench.executor.runs:
            under_way.finish()
        assert await asyncio.gather(*tasks[:3]) == [[2], [4], [6]]

    run(main)


def test_close_fails_waiters_refuses_new_ones_and_lets_the_running_finish() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        running, waiting = bench.send(1), bench.send(2)
        await turns()
        await bench.scheduler.close()
        assert isinstance(await error_of(waiting), UnavailableError)
        assert isinstance(await error_of(bench.send(3)), UnavailableError)
        bench.executor.runs[0].finish()
        assert await running == [2]

    run(main)


def test_the_error_of_an_execution_reaches_its_caller_and_frees_the_slot() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        first, second = bench.send(1), bench.send(2)
        await turns()
        bench.executor.runs[0].fail(InternalError("broken"))
        assert (await error_of(first)).message == "broken"
        await turns()
        bench.executor.runs[1].finish()
        assert await second == [4]

    run(main)


def test_streams_hold_a_slot_until_they_end() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)

        async def consume() -> list[list[float]]:
            return [rows(answer) async for answer in bench.scheduler.stream(request(1), loop.clock())]

        stream = loop.create_task(consume())
        await turns()
        waiting = bench.send(2)
        for _ in range(3):
            await turns()
            assert bench.scheduler.queued == 1
            bench.executor.runs[-1].finish()
        assert await stream == [[2], [2], [2]]
        assert bench.statistics.totals.execution_count == 1  # one execution, however many answers
        await turns()
        bench.executor.runs[-1].finish()
        assert await waiting == [4]

    run(main)


def test_a_stream_that_its_caller_closes_ends_the_models_at_once() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        stream = bench.scheduler.stream(request(1), loop.clock())
        first = loop.create_task(anext(stream))
        await turns()
        bench.executor.runs[0].finish()
        assert rows(await first) == [2]
        await stream.aclose()
        assert bench.executor.streams_closed == 1
        task = bench.send(2)
        await turns()
        bench.executor.runs[-1].finish()
        assert await task == [4]

    run(main)


def test_a_stream_ends_at_its_deadline() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        stream = bench.scheduler.stream(request(1, deadline=loop.clock() + 5 * MS), loop.clock())
        assert isinstance(await error_of(anext(stream)), DeadlineExceededError)
        assert bench.executor.streams_closed == 1

    run(main)


@pytest.mark.parametrize(("shape", "inferences"), [((-1, 1), 3), ((3, 1), 1), ((), 3)])
def test_rows_count_as_inferences_where_the_first_dimension_is_the_batchs(shape: tuple, inferences: int) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, ScriptedExecutor(answer=doubled))
        bench.scheduler.loaded(face(*shape))
        await bench.send(1, 2, 3)
        assert bench.statistics.totals.inference_count == inferences

    run(main)


def test_a_slot_freed_in_another_thread_wakes_who_waits_on_the_loop() -> None:
    """A slot taken and given back outside of the loop, at any moment of the loop's own attempt."""

    class Slow(ScriptedExecutor):
        def __init__(self) -> None:
            super().__init__(answer=doubled)
            self.entered, self.leave = threading.Event(), threading.Event()

        def execute_here(self, request):  # type: ignore[no-untyped-def]
            self.entered.set()
            assert self.leave.wait(10)
            return doubled(request)

    async def main() -> None:
        executor = Slow()
        scheduler = DirectScheduler("m", executor, ModelStatistics(), QueuePolicy(max_queue_size=8))
        thread = threading.Thread(target=scheduler.submit_here, args=(request(1), 0))
        thread.start()
        assert await asyncio.to_thread(executor.entered.wait, 10)
        waiting = asyncio.create_task(scheduler.submit(request(2), 0))
        await turns()
        assert scheduler.queued == 1
        assert scheduler.submit_here(request(3), 0) is None  # no slot
        executor.leave.set()
        assert rows(await asyncio.wait_for(waiting, 10)) == [4]
        thread.join()

    asyncio.run(main())
