"""What an executor takes ahead of its slots: requests that run alone go to it, batches gather instead."""

import asyncio

import pytest

from oipserver.scheduler import BatchPolicy, BatchScheduler, DirectScheduler, QueuePolicy, Scheduler
from oipserver.telemetry.statistics import ModelStatistics
from tests.scheduler.virtual import ScriptedExecutor, VirtualTimeLoop, face, request, rows, run, turns


class Eager(ScriptedExecutor):
    """Has one slot and takes two more."""

    @property
    def ahead(self) -> int:
        return 2


def direct(executor: Eager, loop: VirtualTimeLoop) -> Scheduler:
    return DirectScheduler("m", executor, ModelStatistics(), QueuePolicy(max_queue_size=8), loop.clock)


def batching(executor: Eager, loop: VirtualTimeLoop) -> Scheduler:
    policy = BatchPolicy(max_queue_size=8, max_batch_size=8)
    return BatchScheduler("m", executor, ModelStatistics(), policy, loop.clock)


@pytest.mark.parametrize(("make", "given"), [(direct, [[1], [2], [3]]), (batching, [[1]])])
def test_only_a_scheduler_that_gains_nothing_by_waiting_runs_ahead(make: object, given: list[list[float]]) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = Eager()
        scheduler = make(executor, loop)  # type: ignore[operator]
        scheduler.loaded(face())

        async def send(value: float) -> list[float]:
            return rows(await scheduler.submit(request(value), loop.clock()))

        tasks = [loop.create_task(send(1))]
        await turns()
        tasks += [loop.create_task(send(value)) for value in (2, 3, 4)]
        await turns()
        assert executor.batches == given
        while not all(task.done() for task in tasks):
            for under_way in executor.runs:
                if not under_way.done.done():
                    under_way.finish()
            await turns()
        assert await asyncio.gather(*tasks) == [[2], [4], [6], [8]]

    run(main)
