"""BatchScheduler: which requests run together, when, and who pays for a failure."""

import asyncio
import gc
import logging
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from oipserver.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    OIPError,
    ResourceExhaustedError,
    UnavailableError,
)
from oipserver.protocol import InferRequest, InferResponse
from oipserver.scheduler import BatchPolicy, BatchScheduler
from oipserver.telemetry.statistics import ModelStatistics
from oipserver.tensor import Tensor
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
    """A batch scheduler over a scripted executor, on virtual time."""

    def __init__(self, loop: VirtualTimeLoop, executor: ScriptedExecutor | None = None, **policy: Any) -> None:
        self.loop = loop
        self.executor = executor or ScriptedExecutor()
        self.statistics = ModelStatistics()
        self.policy = BatchPolicy(**{"max_queue_size": 64, "max_batch_size": 8, **policy})
        self.scheduler = BatchScheduler("m", self.executor, self.statistics, self.policy, loop.clock)
        self.executor.changed = self.scheduler.slots_changed
        self.scheduler.loaded(face())

    def send(self, *values: float, **more: Any) -> "asyncio.Task[list[float]]":
        return self.send_request(request(*values, **more))

    def send_request(self, sent: InferRequest) -> "asyncio.Task[list[float]]":
        async def answer() -> list[float]:
            return rows(await self.scheduler.submit(sent, self.loop.clock()))

        return self.loop.create_task(answer())

    async def finish(self, index: int = -1) -> None:
        await turns()
        self.executor.runs[index].finish()
        await turns()

    async def company(self, count: int) -> None:
        """Answer ``count`` requests that met."""
        self.executor.slots = 0
        tasks = [self.send(value) for value in range(count)]
        await turns()
        self.executor.slots = 1
        await self.finish()
        assert self.executor.batches == [list(range(count))]
        await asyncio.gather(*tasks)

    async def busy(self) -> "asyncio.Task[list[float]]":
        """Take the only slot, so that requests gather behind it."""
        task = self.send(0)
        await turns()
        assert self.executor.batches == [[0]]
        return task


# -- when --------------------------------------------------------------------------------------------------------------


def test_a_lone_request_runs_without_ever_yielding_to_the_loop() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, ScriptedExecutor(answer=doubled), max_batch_time=50 * MS)
        for _ in range(3):
            coroutine = bench.scheduler.submit(request(1), loop.clock())
            with pytest.raises(StopIteration) as answer:
                coroutine.send(None)
            assert rows(answer.value.value) == [2]
            await turns()

    run(main)


def test_requests_gather_while_the_slot_is_busy() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        first = await bench.busy()
        others = [bench.send(value) for value in range(1, 6)]
        await turns()
        assert bench.scheduler.queued == 5
        await bench.finish()
        assert bench.executor.batches == [[0], [1, 2, 3, 4, 5]]
        await bench.finish()
        assert await asyncio.gather(first, *others) == [[0], [2], [4], [6], [8], [10]]
        assert bench.statistics.totals.inference_count == 6
        assert bench.statistics.totals.execution_count == 2
        assert sorted(bench.statistics.totals.batches) == [1, 5]

    run(main)


def test_requests_of_one_turn_of_the_loop_run_together_on_an_inline_model() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, ScriptedExecutor(answer=doubled))
        tasks = [bench.send(value) for value in range(6)]
        assert await asyncio.gather(*tasks) == [[2 * value] for value in range(6)]
        assert bench.executor.batches == [[0], [1, 2, 3, 4, 5]]  # the first could not know
        tasks = [bench.send(value) for value in range(6)]
        await asyncio.gather(*tasks)
        assert bench.executor.batches[2:] == [[0, 1, 2, 3, 4, 5]]  # now it can

    run(main)


def test_batches_count_rows_and_take_requests_whole_and_in_order() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, max_batch_size=4)
        tasks = [await bench.busy(), bench.send(1, 2, 3), bench.send(4, 5), bench.send(6), bench.send(*range(10, 16))]
        for expected in ([1, 2, 3], [4, 5, 6], [10, 11, 12, 13, 14, 15]):
            await bench.finish()
            assert bench.executor.batches[-1] == expected
        await bench.finish()
        assert await asyncio.gather(*tasks) == [[0], [2, 4, 6], [8, 10], [12], [20, 22, 24, 26, 28, 30]]

    run(main)


def test_every_free_slot_is_used() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, ScriptedExecutor(slots=0), max_batch_size=2)
        tasks = [bench.send(value) for value in range(5)]
        await turns()
        bench.executor.slots = 2
        await turns()
        assert bench.executor.batches == [[0, 1], [2, 3]]
        for index in (0, 1, 2):
            await bench.finish(index)
        assert await asyncio.gather(*tasks) == [[0], [2], [4], [6], [8]]

    run(main)


def test_lone_requests_are_never_held_back() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, max_batch_time=500 * MS)
        for _ in range(20):  # one client, one request after the other: quick, but never in company
            start = loop.time()
            task = bench.send(1)
            await bench.finish()
            assert await task == [2]
            assert loop.time() == start

    run(main)


def test_a_batch_is_held_for_those_who_were_here_a_moment_ago_and_not_longer_than_until_they_come() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, max_batch_time=100 * MS)
        await bench.company(3)
        executions = len(bench.executor.runs)
        start = loop.time()
        again = [bench.send(1)]
        await asyncio.sleep(0.003)
        again.append(bench.send(2))
        await asyncio.sleep(0.003)
        assert len(bench.executor.runs) == executions  # two of three are here
        again.append(bench.send(3))
        await turns()
        assert bench.executor.batches[executions:] == [[1, 2, 3]]
        assert loop.time() - start == pytest.approx(0.006)
        await bench.finish()
        await asyncio.gather(*again)

    run(main)


def test_holding_in_vain_lasts_max_batch_time_and_happens_once() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, max_batch_time=100 * MS)
        await bench.company(3)
        for held in (0.1, 0.0, 0.0):
            start = loop.time()
            task = bench.send(1)
            await turns()
            await asyncio.sleep(held)
            await bench.finish()
            assert await task == [2]
            assert loop.time() - start == pytest.approx(held)

    run(main)


def test_company_that_is_long_gone_is_not_waited_for() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, max_batch_time=100 * MS)
        await bench.company(3)
        await asyncio.sleep(0.2)
        task = bench.send(1)
        await bench.finish()
        assert await task == [2]
        assert bench.executor.batches[-1] == [1]

    run(main)


def test_those_who_waited_behind_a_batch_wait_on_for_its_members_to_come_back() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, max_batch_time=10 * MS)
        tasks = [await bench.busy(), bench.send(1), bench.send(2)]
        await asyncio.sleep(0.05)  # far longer than max_batch_time, which only counts while a slot is free
        await bench.finish()
        assert bench.executor.batches == [[0]]
        tasks.append(bench.send(3))
        await turns()
        assert bench.executor.batches == [[0], [1, 2, 3]]
        await bench.finish()
        await asyncio.gather(*tasks)

    run(main)


def test_with_slots_for_everybody_batches_form_while_another_execution_is_under_way() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, ScriptedExecutor(slots=1024), max_batch_time=100 * MS)
        tasks = [bench.send(0)]
        await turns()
        tasks += [bench.send(value) for value in (1, 2)]
        await asyncio.sleep(0.05)
        tasks.append(bench.send(3))
        await asyncio.sleep(0.04)
        assert bench.executor.batches == [[0]]
        await asyncio.sleep(0.02)
        assert bench.executor.batches == [[0], [1, 2, 3]]
        await bench.finish(0)
        await bench.finish(1)
        await asyncio.gather(*tasks)

    run(main)


def test_the_end_of_the_other_execution_ends_the_holding() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, ScriptedExecutor(slots=1024), max_batch_time=100 * MS)
        first = bench.send(0)
        await turns()
        others = [bench.send(value) for value in (1, 2)]
        await turns()
        assert bench.executor.batches == [[0]]
        leaving = bench.send(9)
        await turns()
        leaving.cancel()
        await turns()
        bench.executor.runs[0].finish()
        assert await first == [0]
        again = [bench.send(3), bench.send(4)]
        await turns()
        assert bench.executor.batches == [[0], [1, 2, 3, 4]]  # as many as there ever were
        await bench.finish()
        await asyncio.gather(*others, *again)

    run(main)


def test_a_full_or_preferred_batch_is_not_held() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, ScriptedExecutor(slots=1024), max_batch_time=100 * MS, preferred_batch_sizes=(2, 4))
        tasks = [bench.send(0)]
        await turns()
        tasks.append(bench.send(1))
        await turns()
        assert bench.executor.batches == [[0]]
        tasks += [bench.send(value) for value in (2, 3, 4, 5)]
        await turns()
        assert bench.executor.batches == [[0], [1, 2, 3, 4]]  # the largest preferred size that five reach
        await asyncio.sleep(0.2)
        assert bench.executor.batches[2:] == [[5]]
        for index in range(3):
            await bench.finish(index)
        await asyncio.gather(*tasks)

    run(main)


def test_a_held_batch_does_not_hold_up_a_full_one_of_another_kind() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, ScriptedExecutor(slots=1024), max_batch_time=100 * MS, max_batch_size=2)
        tasks = [bench.send(0)]
        await turns()
        tasks.append(bench.send(1))
        tasks += [bench.send(value, parameters={"kind": "other"}) for value in (2, 3)]
        await turns()
        assert bench.executor.batches == [[0], [2, 3]]
        await asyncio.sleep(0.2)
        assert bench.executor.batches[2:] == [[1]]
        for index in range(3):
            await bench.finish(index)
        await asyncio.gather(*tasks)

    run(main)


# -- with whom ---------------------------------------------------------------------------------------------------------


def test_only_compatible_requests_share_a_batch_and_the_oldest_kind_goes_first() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        tasks = [await bench.busy()]
        for value, parameters in ((1, {"t": 1}), (2, {"t": True}), (3, {"t": 1.0}), (4, {"t": 1}), (5, {"t": [1]})):
            tasks.append(bench.send(value, parameters=parameters))
        for expected in ([1, 4], [2], [3], [5]):
            await bench.finish()
            assert bench.executor.batches[-1] == expected
        await bench.finish()
        await asyncio.gather(*tasks)

    run(main)


def test_priorities_go_first_and_lower_ones_fill_the_batch() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, max_batch_size=3, priority_levels=2, default_priority=2)
        tasks = [await bench.busy()]
        for value, priority in ((1, 2), (2, 1), (3, 1), (4, 2), (5, 0)):
            tasks.append(bench.send(value, parameters={"priority": priority}))
        for expected in ([2, 3, 1], [4, 5]):
            await bench.finish()
            assert bench.executor.batches[-1] == expected
            assert bench.executor.runs[-1].request.parameters == {}
        await bench.finish()
        await asyncio.gather(*tasks)

    run(main)


def test_a_model_with_a_fixed_first_dimension_runs_unbatched_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        bench.scheduler.loaded(face(1, 1))
        tasks = [await bench.busy(), *(bench.send(value) for value in (1, 2))]
        await bench.finish()
        await bench.finish()
        await bench.finish()
        assert bench.executor.batches == [[0], [1], [2]]
        await asyncio.gather(*tasks)

    with caplog.at_level(logging.WARNING):
        run(main)
    (record,) = caplog.records
    assert "'m' runs unbatched" in record.getMessage()
    assert "'x' (shape [1, 1])" in record.getMessage()


def test_a_model_with_a_dynamic_first_dimension_is_batched_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        bench.scheduler.loaded(face(-1, 1))
        tasks = [await bench.busy(), *(bench.send(value) for value in (1, 2))]
        await bench.finish()
        await bench.finish()
        assert bench.executor.batches == [[0], [1, 2]]
        await asyncio.gather(*tasks)

    with caplog.at_level(logging.WARNING):
        run(main)
    assert not caplog.records


@pytest.mark.parametrize("fast", [True, False])
def test_headers_keep_apart_what_a_model_could_tell_apart(fast: bool) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        bench.scheduler.loaded(face(fast=fast))
        tasks = [await bench.busy()]
        tasks += [
            bench.send(value, headers={"x-tenant": tenant, "content-length": str(value), "x-request-id": str(value)})
            for value, tenant in ((1, "a"), (2, "b"), (3, "a"))
        ]
        expected = [[1, 2, 3]] if fast else [[1, 3], [2]]
        for batch in expected:
            await bench.finish()
            assert bench.executor.batches[-1] == batch
        if not fast:
            assert bench.executor.runs[1].request.headers == {"x-tenant": "a"}
        await bench.finish()
        await asyncio.gather(*tasks)

    run(main)


def test_rows_that_are_larger_than_a_batch_are_split_where_rows_are_independent() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, max_batch_size=4, independent_rows=True)
        tasks = [await bench.busy(), bench.send(*range(10)), bench.send(20)]
        for expected in ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 20]):
            await bench.finish()
            assert bench.executor.batches[-1] == expected
        await bench.finish()
        assert (await asyncio.gather(*tasks))[1:] == [[2.0 * value for value in range(10)], [40]]

    run(main)


def test_a_large_request_counts_once_against_the_bound_of_the_queue() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, max_queue_size=1, max_batch_size=2, independent_rows=True)
        busy = await bench.busy()
        large = bench.send(1, 2, 3, 4, 5)
        await turns()
        assert isinstance(await error_of(bench.send(6, 7, 8)), ResourceExhaustedError)
        for _ in range(4):
            await bench.finish()
        assert await asyncio.gather(busy, large) == [[0], [2, 4, 6, 8, 10]]

    run(main)


@pytest.mark.parametrize("inline", [True, False])
def test_a_lone_large_request_is_split_too(inline: bool) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(
            loop, ScriptedExecutor(answer=doubled if inline else None), max_batch_size=2, independent_rows=True
        )
        task = bench.send(1, 2, 3, 4, 5)
        for _ in range(0 if inline else 3):
            await bench.finish()
        assert await task == [2, 4, 6, 8, 10]
        assert bench.executor.batches == [[1, 2], [3, 4], [5]]
        assert bench.scheduler.submit_here(request(1, 2, 3), loop.clock()) is None

    run(main)


def test_a_failing_piece_fails_its_request_and_spares_the_rest_of_it() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, max_batch_size=2, independent_rows=True)
        task = bench.send(1, 2, 3, 4, 5)
        await turns()
        bench.executor.runs[0].fail(InvalidArgumentError("no ones"))
        assert (await error_of(task)).message == "no ones"
        await turns()
        assert bench.scheduler.queued == 0
        assert len(bench.executor.runs) == 1 + bench.executor.cancelled
        task = bench.send(6)
        await bench.finish()
        assert await task == [12]

    run(main)


class TwoArgumentsError(OIPError):
    """An error of a model's own, with a constructor of its own."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


# -- failure -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("somebody_else_waits", [True, False])
def test_a_failing_batch_is_retried_one_by_one_and_only_the_culprit_fails(somebody_else_waits: bool) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        tasks = [await bench.busy(), *(bench.send(value) for value in (1, 2, 3))]
        await bench.finish()
        late = [bench.send(4)] if somebody_else_waits else []
        await turns()
        bench.executor.runs[-1].fail(InvalidArgumentError("a two"))
        for expected in (1, 2, 3):
            await turns()
            assert bench.executor.batches[-1] == [expected]
            if expected == 2:
                bench.executor.runs[-1].fail(InvalidArgumentError("a two"))
            else:
                bench.executor.runs[-1].finish()
        if late:
            await bench.finish()
            assert bench.executor.batches[-1] == [4]
        assert (await error_of(tasks[2])).message == "a two"
        assert await asyncio.gather(tasks[1], tasks[3], *late) == [[2], [6], [8]][: 2 + len(late)]

    run(main)


def test_a_batch_that_fails_where_nothing_runs_any_more_is_not_retried() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        tasks = [await bench.busy(), *(bench.send(value) for value in (1, 2))]
        await bench.finish()
        bench.executor.reason = "its workers keep dying"
        bench.executor.slots = 0
        bench.executor.runs[-1].fail(InternalError("the worker died"))
        for task in tasks[1:]:
            assert "its workers keep dying" in (await error_of(task)).message
        await tasks[0]

    run(main)


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        ({"stateful": True}, InternalError("broken")),
        ({}, UnavailableError("no worker", retry_after=2.0)),
        ({}, DeadlineExceededError("late")),
        ({}, ResourceExhaustedError("no memory left")),
        ({"stateful": True}, TwoArgumentsError("a", "b")),
    ],
)
def test_what_a_retry_would_not_mend_or_must_not_repeat_fails_everybody_at_once(policy: dict, error: Any) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, **policy)
        tasks = [await bench.busy(), *(bench.send(value) for value in (1, 2))]
        await bench.finish()
        bench.executor.runs[-1].fail(error)
        errors = [await error_of(task) for task in tasks[1:]]
        assert [(type(e), e.message, e.retry_after) for e in errors] == [
            (type(error), error.message, error.retry_after)
        ] * 2
        assert errors[0] is not errors[1]  # a traceback each
        await turns()
        assert len(bench.executor.runs) == 2
        await tasks[0]

    run(main)


def test_an_executor_that_breaks_its_promise_is_an_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        tasks = [await bench.busy(), *(bench.send(value) for value in (1, 2))]
        await bench.finish()
        bench.executor.runs[-1].fail(ValueError("secret"))
        for task in tasks[1:]:
            error = await error_of(task)
            assert isinstance(error, InternalError)
            assert "secret" not in error.message
        task = bench.send(3)
        await bench.finish()
        assert await task == [6]

    run(main)
    assert "failed for a reason outside of the model" in caplog.text


@pytest.mark.parametrize("output", [np.zeros((1, 1), "<f4"), np.zeros((), "<f4"), np.zeros((3, 1), "<f4")])
def test_outputs_without_the_batchs_rows_are_an_error_that_names_them(output: np.ndarray) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        tasks = [await bench.busy(), *(bench.send(value) for value in (1, 2))]
        await bench.finish()
        answer = doubled(bench.executor.runs[-1].request)
        bench.executor.runs[-1].done.set_result(replace(answer, outputs=[Tensor.from_array("y", output)]))
        for task in tasks[1:]:
            error = await error_of(task)
            assert isinstance(error, InternalError)
            assert f"'m' answered a batch of 2 rows with output 'y' of shape {list(output.shape)}" in error.message
        await turns()
        assert len(bench.executor.runs) == 2  # running it again would hide the model's mistake

    run(main)


def test_bytes_that_lie_about_their_lengths_harm_nobody_else_even_in_a_stateful_model() -> None:
    def text(raw: bytes) -> InferRequest:
        return InferRequest("m", [Tensor("x", "BYTES", (1, 1), raw=raw)])

    def answer(merged: InferRequest) -> InferResponse:
        lengths = [len(value) for value in merged.inputs[0].array.reshape(-1)]
        return replace(doubled(request(0)), outputs=[Tensor.from_array("y", np.array(lengths, "<f4").reshape(-1, 1))])

    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, ScriptedExecutor(slots=0, answer=answer), stateful=True)
        tasks = [
            bench.send_request(text(raw))
            for raw in (b"\x01\0\0\0a", b"\0\0\0\0\x02\0\0\0bc", b"", b"\x03\0\0\0def", b"\x02\0\0\0gh")
        ]
        await turns()
        bench.executor.slots = 1
        assert await asyncio.gather(tasks[0], tasks[3], tasks[4]) == [[1], [3], [2]]
        for liar in (tasks[1], tasks[2]):
            assert isinstance(await error_of(liar), InvalidArgumentError)

    run(main)


# -- leaving -----------------------------------------------------------------------------------------------------------


def test_a_cancelled_request_leaves_the_queue_and_never_reaches_the_model() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        tasks = [await bench.busy(), *(bench.send(value) for value in (1, 2, 3))]
        await turns()
        tasks[2].cancel()
        await turns()
        assert bench.scheduler.queued == 2
        tasks[1].cancel()  # and this one has no time to leave before the queue is looked at
        bench.executor.runs[0].finish()
        await bench.finish()
        assert bench.executor.batches == [[0], [3]]
        assert await tasks[3] == [6]

    run(main)


def test_a_member_of_a_running_batch_that_leaves_harms_nobody() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        tasks = [await bench.busy(), *(bench.send(value) for value in (1, 2, 3))]
        await bench.finish()
        tasks[2].cancel()
        await turns()
        assert bench.executor.cancelled == 0
        await bench.finish()
        assert await asyncio.gather(tasks[1], tasks[3]) == [[2], [6]]

    run(main)


def test_an_execution_nobody_waits_for_any_more_is_cancelled_and_its_slot_freed() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        tasks = [await bench.busy(), *(bench.send(value) for value in (1, 2))]
        await bench.finish()
        for task in tasks[1:]:
            task.cancel()
        await turns()
        assert bench.executor.cancelled == 1
        task = bench.send(3)
        await bench.finish()
        assert await task == [6]

    run(main)


def test_a_batch_whose_members_all_leave_before_its_first_step_frees_its_slot() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, ScriptedExecutor(slots=0))
        tasks = [bench.send(value) for value in (1, 2)]
        await turns()
        bench.executor.slots = 1  # dispatched, but its task has not run
        for task in tasks:
            task.cancel()
        await turns()
        assert bench.executor.runs == []
        task = bench.send(3)
        await bench.finish()
        assert await task == [6]

    run(main)


def test_members_of_an_execution_that_is_cancelled_from_outside_are_told() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        tasks = [await bench.busy(), *(bench.send(value) for value in (1, 2))]
        await bench.finish()
        (execution,) = asyncio.all_tasks() - {asyncio.current_task(), *tasks}
        execution.cancel()
        for task in tasks[1:]:
            assert isinstance(await error_of(task), UnavailableError)

    run(main)


def test_deadlines_end_waiting_in_the_queue_and_in_a_batch() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, queue_timeout=40 * MS)
        start = loop.clock()
        tasks = [await bench.busy()]
        tasks += [bench.send(1), bench.send(2, deadline=start + 50 * MS)]
        tasks += [bench.send(3, deadline=start + 10 * MS), bench.send(4, parameters={"timeout": 20_000})]
        await asyncio.sleep(0.03)
        assert bench.scheduler.queued == 2
        for expired in tasks[3:]:
            assert "Request timeout expired" in (await error_of(expired)).message
        await bench.finish()
        assert bench.executor.batches == [[0], [1, 2]]
        error = await error_of(tasks[2])
        assert isinstance(error, DeadlineExceededError)
        assert loop.clock() - start == pytest.approx(50 * MS)
        await asyncio.sleep(1)  # the queue's time-out does not count once it runs
        await bench.finish()
        assert await tasks[1] == [2]

    run(main)


def test_the_model_is_told_the_latest_deadline_where_every_caller_has_one() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        start = loop.clock()
        for deadlines, expected in (((5, 9), 9), ((5, None), None)):
            tasks = [bench.send(0)]
            await turns()
            instants = [None if deadline is None else start + deadline * MS for deadline in deadlines]
            tasks += [bench.send(1, deadline=instant) for instant in instants]
            await bench.finish()
            merged = bench.executor.runs[-1].request
            assert merged.inputs[0].shape == (2, 1)
            assert merged.deadline == (None if expected is None else start + expected * MS)
            await bench.finish()
            await asyncio.gather(*tasks)

    run(main)


def test_a_full_queue_refuses_and_close_fails_who_waits() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, max_queue_size=2, max_batch_time=10 * MS)
        tasks = [await bench.busy(), bench.send(1), bench.send(2)]
        await turns()
        error = await error_of(bench.send(3))
        assert isinstance(error, ResourceExhaustedError)
        assert error.retry_after
        await bench.scheduler.close()
        errors = [await error_of(task) for task in tasks[1:]]
        assert [type(each) for each in errors] == [UnavailableError] * 2
        assert errors[0] is not errors[1]  # a traceback each
        assert isinstance(await error_of(bench.send(4)), UnavailableError)
        await bench.finish()
        assert await tasks[0] == [0]

    run(main)


def test_an_unavailable_executor_fails_who_waits_but_not_who_runs() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        tasks = [await bench.busy(), bench.send(1)]
        await turns()
        bench.executor.reason = "its workers keep dying"
        bench.executor.slots = 0
        assert "its workers keep dying" in (await error_of(tasks[1])).message
        await bench.finish()
        assert await tasks[0] == [0]

    run(main)


# -- the rest of the interface -----------------------------------------------------------------------------------------


def test_streams_run_alone_in_a_slot_of_their_own() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        tasks = [await bench.busy(), bench.send(1)]

        async def consume() -> list[list[float]]:
            return [rows(answer) async for answer in bench.scheduler.stream(request(7), loop.clock())]

        await turns()
        stream = loop.create_task(consume())
        await turns()
        tasks.append(bench.send(2))
        await bench.finish()
        assert bench.executor.batches[-1] == [1, 2]  # compatible ones fill the batch of the first
        await bench.finish()
        for _ in range(3):
            await bench.finish()
        assert await stream == [[14], [14], [14]]
        await asyncio.gather(*tasks)

    run(main)


def test_a_thread_of_its_own_is_served_there_unless_there_is_company() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        answer = bench.scheduler.submit_here(request(1), loop.clock())
        assert answer is not None
        assert rows(answer) == [2]
        bench.executor.runs.clear()
        tasks = [await bench.busy(), bench.send(1)]
        await turns()
        assert bench.scheduler.submit_here(request(1), loop.clock()) is None  # no slot
        await bench.finish()
        await bench.finish()
        await asyncio.gather(*tasks)
        assert bench.scheduler.submit_here(request(1), loop.clock()) is None  # there was company a moment ago
        await asyncio.sleep(0.01)
        assert bench.scheduler.submit_here(request(1), loop.clock()) is not None

    run(main)


@pytest.mark.parametrize("failing", [False, True])
def test_batches_leave_nothing_to_the_garbage_collector(failing: bool) -> None:
    """Cycles would keep every answer until a collection, which halts the whole server for milliseconds."""

    def answer(merged: InferRequest) -> InferResponse:
        if failing and merged.inputs[0].shape[0] > 1:
            raise InvalidArgumentError("not together")
        return doubled(merged)

    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop, ScriptedExecutor(answer=answer), max_batch_time=MS)

        async def clients() -> None:
            await asyncio.gather(*(bench.send(value) for value in range(6)))
            bench.executor.runs.clear()
            await turns()

        await clients()
        gc.collect()
        await clients()
        gc.disable()
        try:
            await clients()
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = [type(each).__name__ for each in gc.garbage]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
        assert not {"Batch", "Entry", "InferResponse", "Tensor", "Future"} & set(left), left

    run(main)


def test_every_caller_gets_times_and_parameters_of_its_own() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        bench = Bench(loop)
        busy = await bench.busy()
        sent = []
        for value in (1, 2):
            sent.append((loop.clock(), loop.create_task(bench.scheduler.submit(request(value), loop.clock()))))
            await asyncio.sleep(0.01)
        await bench.finish()
        dispatched = loop.clock()
        await asyncio.sleep(0.01)
        answer = replace(doubled(bench.executor.runs[-1].request), parameters={"shared": 1}, headers={"a": "b"})
        answer.outputs[0].parameters = {"content_type": "np"}
        bench.executor.runs[-1].done.set_result(answer)
        answers = [await task for _, task in sent]
        for (received, _), own in zip(sent, answers, strict=True):
            assert own.timings is not None
            assert (own.timings.received, own.timings.dispatched) == (received, dispatched)
            assert own.parameters == {"shared": 1}
            assert own.headers == {"a": "b"}
            assert own.outputs[0].parameters == {"content_type": "np"}
        assert answers[0].timings is not answers[1].timings
        assert answers[0].parameters is not answers[1].parameters
        assert answers[0].outputs[0].parameters is not answers[1].outputs[0].parameters
        assert answers[0].outputs[0].array.base is not None  # a view
        assert math.isclose(bench.statistics.totals.compute_output.ns, 0)
        await busy

    run(main)
