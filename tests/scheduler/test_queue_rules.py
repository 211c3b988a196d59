"""What a model's configuration says of its queue: sizes and time-outs per priority, late ones refused or delayed, and
answers in order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from oipserver.errors import DeadlineExceededError, InternalError, ResourceExhaustedError, UnavailableError
from oipserver.protocol import InferResponse
from oipserver.scheduler import BatchPolicy, BatchScheduler, Scheduler, scheduler_for
from oipserver.scheduler.configured import configured
from oipserver.scheduler.ordered import OrderedScheduler
from oipserver.scheduler.policy import LevelRule
from oipserver.settings import ModelSettings, Settings
from oipserver.telemetry.statistics import ModelStatistics
from tests.scheduler.virtual import MS, ScriptedExecutor, VirtualTimeLoop, error_of, face, request, rows, run, turns


def made(loop: VirtualTimeLoop, executor: ScriptedExecutor, size: int = 1, **batching: Any) -> Scheduler:
    """The scheduler of a model with ``batching`` as its dynamic_batching."""
    policy = configured(BatchPolicy(max_queue_size=16), {"max_batch_size": size, "dynamic_batching": batching})
    scheduler = BatchScheduler("m", executor, ModelStatistics(), policy, loop.clock)
    scheduler.loaded(face(-1, 1))
    executor.changed = scheduler.slots_changed
    return OrderedScheduler(scheduler) if policy.ordered else scheduler


def send(scheduler: Scheduler, loop: VirtualTimeLoop, value: float, **parameters: int) -> asyncio.Task[InferResponse]:
    return loop.create_task(scheduler.submit(request(value, parameters=dict(parameters)), loop.clock()))


async def finish_all(executor: ScriptedExecutor) -> list[float]:
    """Finish one execution after the other; their rows in order."""
    done = 0
    while done < len(executor.runs):
        executor.runs[done].finish()
        done += 1
        await turns(8)
    return [value for batch in executor.batches for value in batch]


def test_a_configurations_words_become_a_policy() -> None:
    policy = configured(
        BatchPolicy(max_queue_size=16, queue_timeout=5, max_batch_time=7),
        {
            "max_batch_size": "8",
            "dynamic_batching": {
                "preferred_batch_size": [8, "4", 16],
                "max_queue_delay_microseconds": "100",
                "preserve_ordering": True,
                "priority_levels": "2",
                "default_priority_level": "2",
                "default_queue_policy": {"max_queue_size": 3},
                "priority_queue_policy": {
                    "1": {
                        "timeout_action": "DELAY",
                        "default_timeout_microseconds": "2000",
                        "allow_timeout_override": True,
                        "max_queue_size": 5,
                    }
                },
            },
        },
    )
    assert policy == BatchPolicy(
        max_queue_size=8,
        priority_levels=2,
        default_priority=2,
        rules=(LevelRule(5, 2 * MS, may_shorten=True, delays=True), LevelRule(3)),
        max_batch_size=8,
        max_batch_time=100_000,
        preferred_batch_sizes=(4, 8),
        ordered=True,
    )


def test_without_any_batching_requests_run_alone() -> None:
    assert configured(BatchPolicy(16, max_batch_size=8), {"max_batch_size": 8}).max_batch_size == 1
    assert configured(BatchPolicy(16, max_batch_size=8), {}).max_batch_size == 8


def test_without_a_batch_dimension_a_request_is_one_inference() -> None:
    assert configured(BatchPolicy(16), {"max_batch_size": 0}).batchless
    assert not configured(BatchPolicy(16), {"max_batch_size": 1}).batchless
    assert not configured(BatchPolicy(16), {}).batchless


def test_slots_worth_running_are_a_share_of_all() -> None:
    declared = {"direct": {"max_queue_delay_microseconds": 500, "minimum_slot_utilization": 0.5}}
    policy = configured(BatchPolicy(16), {"max_batch_size": 4, "sequence_batching": declared})
    assert (policy.enough, policy.cut(3), policy.max_batch_time, policy.stateful) == (2, 3, 500_000, True)


def test_the_scheduler_of_a_model_that_preserves_order() -> None:
    settings = ModelSettings(
        name="m", configuration={"max_batch_size": 4, "dynamic_batching": {"preserve_ordering": True}}
    )
    assert isinstance(scheduler_for(Settings(), settings, ScriptedExecutor(), ModelStatistics()), OrderedScheduler)


def test_a_full_queue_of_the_models_own_is_unavailable_and_the_servers_is_exhausted() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor()
        scheduler = made(loop, executor, default_queue_policy={"max_queue_size": 2})
        asked = [send(scheduler, loop, value) for value in (1, 2, 3)]
        await turns()
        error = await error_of(send(scheduler, loop, 4))
        assert isinstance(error, UnavailableError)
        assert "Exceeds maximum queue size" in error.message
        assert await finish_all(executor) == [1, 2, 3]
        await asyncio.gather(*asked)
        unbounded = made(loop, ScriptedExecutor())
        asked = [send(unbounded, loop, value) for value in range(17)]
        await turns()
        error = await error_of(send(unbounded, loop, 18))
        assert isinstance(error, ResourceExhaustedError)
        await unbounded.close()
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)

    run(main)


def test_each_priority_has_a_queue_of_its_own() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor()
        scheduler = made(
            loop,
            executor,
            priority_levels=2,
            default_priority_level=2,
            default_queue_policy={"max_queue_size": 1},
            priority_queue_policy={"1": {"max_queue_size": 2}},
        )
        asked = [send(scheduler, loop, 0)]
        await turns()
        asked += [send(scheduler, loop, 1), send(scheduler, loop, 2, priority=1), send(scheduler, loop, 3, priority=1)]
        await turns()
        for priority in (0, 1, 2):
            assert isinstance(await error_of(send(scheduler, loop, 4, priority=priority)), UnavailableError)
        assert await finish_all(executor) == [0, 2, 3, 1]
        await asyncio.gather(*asked)

    run(main)


def test_who_waits_too_long_is_refused() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor()
        rule = {"default_timeout_microseconds": 5000, "allow_timeout_override": True}
        scheduler = made(loop, executor, default_queue_policy=rule)
        first = send(scheduler, loop, 1)
        await turns()
        started = loop.clock()
        for timeout, waited in ((2000, 2 * MS), (9000, 5 * MS)):
            error = await error_of(send(scheduler, loop, 2, timeout=timeout))
            assert isinstance(error, UnavailableError)
            assert error.message == "model 'm': Request timeout expired"
            assert loop.clock() - started == pytest.approx(waited, abs=MS // 10)
            started = loop.clock()
        hurried = request(3, deadline=loop.clock() + MS)
        assert isinstance(await error_of(scheduler.submit(hurried, loop.clock())), DeadlineExceededError)
        executor.runs[0].finish()
        await first
        assert scheduler.queued == 0

    run(main)


def test_a_timeout_of_the_request_counts_only_where_it_may() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor()
        scheduler = made(loop, executor)
        asked = [send(scheduler, loop, 1), send(scheduler, loop, 2, timeout=1000)]
        await asyncio.sleep(0.01)
        assert await finish_all(executor) == [1, 2]
        await asyncio.gather(*asked)

    run(main)


def test_who_waits_too_long_is_delayed_behind_all_others_of_its_level() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor()
        rule = {"timeout_action": "DELAY", "default_timeout_microseconds": 5000, "max_queue_size": 4}
        scheduler = made(loop, executor, priority_levels=2, default_priority_level=1, default_queue_policy=rule)
        asked = [send(scheduler, loop, 0)]
        await turns()
        asked += [send(scheduler, loop, 1), send(scheduler, loop, 2), send(scheduler, loop, 7, priority=2)]
        await asyncio.sleep(0.006)
        asked += [send(scheduler, loop, 3), send(scheduler, loop, 4)]
        await turns()
        assert isinstance(await error_of(send(scheduler, loop, 5)), UnavailableError)  # the late ones still count
        assert await finish_all(executor) == [0, 3, 4, 1, 2, 7]
        await asyncio.gather(*asked)

    run(main)


def test_a_delayed_request_still_has_its_deadline() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor()
        rule = {"timeout_action": "DELAY", "default_timeout_microseconds": 1000}
        scheduler = made(loop, executor, default_queue_policy=rule)
        first = send(scheduler, loop, 0)
        await turns()
        started = loop.clock()
        error = await error_of(scheduler.submit(request(1, deadline=started + 4 * MS), started))
        assert isinstance(error, DeadlineExceededError)
        assert loop.clock() - started == pytest.approx(4 * MS, abs=MS // 10)
        executor.runs[0].finish()
        await first

    run(main)


def test_answers_leave_in_the_order_of_their_requests() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor(slots=3)
        scheduler = made(loop, executor, preserve_ordering=True)
        left: list[int] = []

        async def ask(value: int) -> None:
            try:
                await scheduler.submit(request(value), loop.clock())
            finally:
                left.append(value)

        asked = [loop.create_task(ask(value)) for value in (1, 2, 3)]
        await turns()
        by_value = {each.values[0]: each for each in executor.runs}
        by_value[3].finish()
        by_value[2].fail(InternalError("broken"))
        await turns(8)
        assert left == []
        by_value[1].finish()
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert left == [1, 2, 3]
        assert isinstance(results[1], InternalError)

    run(main)


def test_who_leaves_early_holds_up_nobody_and_lets_nobody_overtake() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor(slots=3)
        scheduler = made(loop, executor, preserve_ordering=True)
        asked = [send(scheduler, loop, value) for value in (1, 2, 3)]
        await turns()
        asked[1].cancel()
        by_value = {each.values[0]: each for each in executor.runs}
        by_value[3].finish()
        await turns(8)
        assert asked[1].cancelled()
        assert not asked[2].done()
        by_value[1].finish()
        assert [rows(await asked[0]), rows(await asked[2])] == [[2], [6]]

    run(main)
