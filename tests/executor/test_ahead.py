"""Calls that wait in a worker behind another: nothing that befalls that one befalls them, and each can still be
called back."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from oipserver.errors import InternalError
from oipserver.executor import Executor
from oipserver.protocol import InferResponse
from oipserver.scheduler import DirectScheduler, QueuePolicy
from oipserver.telemetry.statistics import ModelStatistics

from .support import loaded, model_settings, pids, pool_manager, request, until

QUICK_CALLS = 150  # until a worker has forgotten that it did not know how long they take


async def number(executor: Executor, n: int, **parameters: Any) -> int:
    response = await executor.execute(request(n=n, **parameters))
    return int(response.outputs[0].array[0])


async def warm(executor: Executor) -> None:
    assert await asyncio.gather(*(number(executor, n) for n in range(QUICK_CALLS))) == list(range(QUICK_CALLS))


async def blocked(executor: Executor, gate: Path, **parameters: Any) -> asyncio.Task[int]:
    """A call that holds the worker's thread until ``gate`` exists."""
    call = asyncio.create_task(number(executor, -1, gate=str(gate), **parameters))
    await until(gate.with_suffix(".begun").exists)
    return call


@pytest.mark.parametrize(("seconds", "least", "most"), [(0.0, 2, 16), (0.002, 1, 1), (0.02, 0, 0)])
def test_how_many_calls_may_wait_in_a_worker_follows_from_how_long_they_take(
    seconds: float, least: int, most: int
) -> None:
    async def run() -> None:
        async with loaded("Steps", parallel_workers=2) as executor:
            assert (executor.slots, executor.ahead) == (2, 0), "nothing is known"
            for n in range(20):
                await number(executor, n, sleep=seconds)
            assert executor.slots == 2
            assert 2 * least <= executor.ahead <= 2 * most

    asyncio.run(run())


def test_calls_of_a_model_with_threads_of_its_own_do_not_wait_in_the_worker(tmp_path: Path) -> None:
    (tmp_path / "threaded.py").write_text(
        "from oipserver import MLModel\n"
        "class Threaded(MLModel):\n"
        "    instances = 2\n"
        "    def infer_tensors(self, inputs, outputs, parameters):\n"
        "        return []\n"
    )

    async def run() -> None:
        async with pool_manager() as manager:
            executor = manager.executor(model_settings("threaded.Threaded", tmp_path))
            await executor.load()
            for _ in range(20):
                await executor.execute(request())
            assert (executor.slots, executor.ahead) == (2, 0)

    asyncio.run(run())


def test_a_call_that_waits_in_a_worker_can_be_called_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with loaded("Steps") as executor:
            gate, log = tmp_path / "gate", tmp_path / "log"
            first = await blocked(executor, gate)
            behind = [asyncio.create_task(number(executor, n, log=str(log))) for n in range(6)]
            await asyncio.sleep(0)
            for call in behind[1::2]:
                call.cancel()
            await asyncio.wait(behind[1::2])
            gate.touch()
            assert await first == -1
            assert await asyncio.gather(*behind[::2]) == [0, 2, 4]
            assert log.read_text().split() == ["0", "2", "4"]
            await until(lambda: executor.slots == 1)

    asyncio.run(run())


@pytest.mark.parametrize("stateful", [False, True])
def test_calls_that_wait_in_a_worker_that_dies_go_to_another_one(stateful: bool, tmp_path: Path) -> None:
    async def run() -> None:
        async with pool_manager(worker_max_deaths=1000) as manager:
            executor = manager.executor(model_settings("Steps", stateful=stateful))
            await executor.load()
            gate, log = tmp_path / "gate", tmp_path / "log"
            first = await blocked(executor, gate)
            behind = [asyncio.create_task(number(executor, n, log=str(log))) for n in range(6)]
            await asyncio.sleep(0)
            os.kill(pids(manager)[0], signal.SIGKILL)
            gate.touch()
            assert await asyncio.gather(*behind) == list(range(6))
            assert log.read_text().split() == [str(n) for n in range(6)], "each was executed once"
            if stateful:
                with pytest.raises(InternalError, match="the worker executing this request was killed by SIGKILL"):
                    await first
            else:
                assert await first == -1

    asyncio.run(run())


@pytest.mark.parametrize(("stateful", "retry"), [(False, True), (True, True), (False, False)])
def test_a_deadly_call_harms_none_of_those_sent_with_it(stateful: bool, retry: bool, tmp_path: Path) -> None:
    """Answers of quick calls may wait for each other, but where a call is not run again none is ever lost so."""

    async def run() -> None:
        async with pool_manager(worker_max_deaths=1000, worker_retry=retry) as manager:
            executor = manager.executor(model_settings("Steps", stateful=stateful))
            await executor.load()
            await warm(executor)
            calls = [asyncio.create_task(number(executor, n, die=n == 5)) for n in range(10)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert isinstance(results.pop(5), InternalError)
            assert results == [0, 1, 2, 3, 4, 6, 7, 8, 9]

    asyncio.run(run())


def test_a_call_begins_when_its_turn_comes_not_when_it_was_sent(tmp_path: Path) -> None:
    async def run() -> None:
        async with loaded("Steps") as executor:
            scheduler = DirectScheduler("steps", executor, ModelStatistics(), QueuePolicy(max_queue_size=10))
            executor.changed = scheduler.slots_changed
            for n in range(20):
                await number(executor, n)
            assert executor.ahead >= 1

            async def ask(n: int, **parameters: Any) -> InferResponse:
                return await scheduler.submit(request(n=n, **parameters), 1)

            gate = tmp_path / "gate"
            first = asyncio.create_task(ask(0, gate=str(gate)))
            await until(gate.with_suffix(".begun").exists)
            second = asyncio.create_task(ask(1))
            await asyncio.sleep(0)
            assert scheduler.queued == 0, "it waits in the worker"
            gate.touch()
            times = [response.timings for response in await asyncio.gather(first, second)]
            assert times[0]
            assert times[1]
            assert times[0].infer_end <= times[1].dispatched <= times[1].infer_start

    asyncio.run(run())


def test_with_a_worker_stuck_the_other_one_goes_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with loaded("Steps", parallel_workers=2) as executor:
            gate = tmp_path / "gate"
            first = await blocked(executor, gate)
            for n in range(20):
                assert await number(executor, n) == n, "all went to the idle worker"
            gate.touch()
            assert await first == -1

    asyncio.run(run())


def test_an_answer_does_not_wait_for_a_long_call_behind_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with pool_manager() as manager:
            quick = manager.executor(model_settings("Steps"))
            slow = manager.executor(model_settings("Steps", name="slow"))
            await asyncio.gather(quick.load(), slow.load())
            await warm(quick)
            await number(slow, 0, sleep=0.02)
            first = await blocked(quick, tmp_path / "first")
            calls = [asyncio.create_task(number(quick, 1))]
            await asyncio.sleep(0)
            gate = tmp_path / "gate"
            calls.append(asyncio.create_task(number(slow, 2, gate=str(gate))))
            await asyncio.sleep(0)
            (tmp_path / "first").touch()
            assert await first == -1
            assert await asyncio.wait_for(calls[0], 5) == 1, "its answer is here, though the worker is not done"
            gate.touch()
            assert await calls[1] == 2

    asyncio.run(run())
