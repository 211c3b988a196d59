"""Sequences under virtual time: order, slots, idle ends, lost requests, and that no sequence ever sees another's."""

from __future__ import annotations

import asyncio
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oipserver.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    ResourceExhaustedError,
    UnavailableError,
)
from oipserver.protocol import InferResponse
from tests.scheduler.sequenced import (
    END,
    READY,
    START,
    STATE,
    accumulate,
    corrid,
    echoed,
    part,
    scheduler,
    submit,
    task,
)
from tests.scheduler.virtual import MS, ScriptedExecutor, VirtualTimeLoop, error_of, rows, run, turns


def test_the_requests_of_a_sequence_run_one_after_the_other_and_those_of_others_beside_them() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor(slots=4)
        made = scheduler(loop, executor, size=1)
        asked = [task(made, loop, part(value, 1, start=value == 1)) for value in (1, 2, 3)]
        asked.append(task(made, loop, part(9, 2, start=True)))
        await turns()
        assert executor.batches == [[1.0], [9.0]]
        executor.runs[0].finish()
        await turns()
        assert executor.batches == [[1.0], [9.0], [2.0]]
        executor.runs[2].finish()
        await turns()
        for each in (executor.runs[1], executor.runs[3]):
            each.finish()
        assert [rows(answer)[0] for answer in await asyncio.gather(*asked)] == [2, 4, 6, 18]
        await made.close()

    run(main)


def test_waiting_requests_of_different_sequences_run_as_one() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor(slots=1)
        made = scheduler(loop, executor, control_input=[START, corrid("TYPE_INT64")])
        asked = [task(made, loop, part(value, value, start=True)) for value in (1, 2, 3, 4)]
        await turns()
        executor.runs[0].finish()
        await turns(8)
        assert executor.batches == [[1.0], [2.0, 3.0, 4.0]]
        given = {tensor.name: tensor.array for tensor in executor.runs[1].request.inputs}
        assert given["start"].tolist() == [[1.0]] * 3
        assert given["id"].tolist() == [[2], [3], [4]]
        assert "sequence_id" not in executor.runs[1].request.parameters
        executor.runs[1].finish()
        await asyncio.gather(*asked)
        await made.close()

    run(main)


@pytest.mark.parametrize(("size", "shape"), [(0, (1,)), (4, (1, 1))])
def test_controls_have_their_types_and_shapes(size: int, shape: tuple[int, ...]) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor(answer=echoed)
        made = scheduler(loop, executor, size=size, control_input=[START, READY, END, corrid("TYPE_STRING")])
        await made.submit(part(1, "a", start=True), loop.clock())
        await made.submit(part(1, "a", end=True), loop.clock())
        controls = [
            {
                tensor.name: (tensor.datatype, tensor.shape, tensor.array.reshape(-1)[0])
                for tensor in each.request.inputs
            }
            for each in executor.runs
        ]
        first, last = controls
        assert first["start"] == ("FP32", shape, 1.0)
        assert last["start"] == ("FP32", shape, 0.0)
        assert first["ready"] == last["ready"] == ("BOOL", shape, True)
        assert [first["end"], last["end"]] == [("INT32", shape, 0), ("INT32", shape, 1)]
        assert first["id"] == ("BYTES", shape, b"a")
        await made.close()

    run(main)


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=8),
    candidates=st.integers(1, 4),
    slots=st.integers(1, 3),
    size=st.sampled_from([1, 3, 8]),
    seed=st.integers(0, 2**16),
)
def test_interleaved_sequences_never_mix(lengths: list[int], candidates: int, slots: int, size: int, seed: int) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor(slots=slots)
        strategy = {"oldest": {"max_candidate_sequences": candidates}, "state": [STATE]}
        made = scheduler(loop, executor, size=size, **strategy)
        chance = random.Random(seed)
        left = {number: list(range(length)) for number, length in enumerate(lengths, start=1)}
        asked: dict[int, list[asyncio.Task[InferResponse]]] = {number: [] for number in left}
        total, answered = sum(lengths), 0
        for _ in range(1000 * total):
            if answered == total:
                break
            pending = [each for each in executor.runs if not each.done.done()]
            if left and (not pending or chance.random() < 0.6):
                number = chance.choice(sorted(left))
                index = left[number].pop(0)
                mark = {"start": index == 0, "end": not left[number]}
                asked[number].append(task(made, loop, part(number * 100 + index, number, **mark)))
                if not left[number]:
                    del left[number]
            elif pending:
                chosen = chance.choice(pending)
                chosen.done.set_result(accumulate(chosen.request))
            await turns(8)
            answered = sum(each.done() for tasks in asked.values() for each in tasks)
        assert answered == total
        for number, tasks in asked.items():
            expected = np.cumsum([number * 100 + index for index in range(lengths[number - 1])]).tolist()
            assert [rows(await each)[0] for each in tasks] == expected
        assert made.sequences == made.queued == 0
        await made.close()

    run(main)


def test_an_idle_sequence_ends_and_its_slot_goes_to_the_backlog() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor(answer=accumulate)
        narrow = {"oldest": {"max_candidate_sequences": 1}, "max_sequence_idle_microseconds": "5000", "state": [STATE]}
        made = scheduler(loop, executor, **narrow)
        await submit(made, loop, part(1, 1, start=True))
        await asyncio.sleep(0.004)
        await submit(made, loop, part(1, 1))
        started = loop.clock()
        assert await submit(made, loop, part(5, 2, start=True)) == [5.0]
        assert 5 * MS <= loop.clock() - started <= 7 * MS
        error = await error_of(made.submit(part(1, 1), loop.clock()))
        assert isinstance(error, InvalidArgumentError)
        assert "for sequence 1 to model 'm' must specify the START flag" in error.message
        await asyncio.sleep(0.01)
        assert made.sequences == 0
        await made.close()

    run(main)


def test_a_start_resets_the_state_and_what_follows_an_end_waits_behind_the_backlog() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor()
        made = scheduler(loop, executor, oldest={"max_candidate_sequences": 1}, state=[STATE])
        first = task(made, loop, part(1, 1, start=True, end=True))
        await turns()
        again = task(made, loop, part(2, 1, start=True, end=True))
        other = task(made, loop, part(3, 2, start=True, end=True))
        for expected in (1.0, 3.0, 2.0):
            await turns()
            assert executor.runs[-1].values == [expected]
            executor.runs[-1].done.set_result(accumulate(executor.runs[-1].request))
        assert [rows(await each) for each in (first, again, other)] == [[1.0], [2.0], [3.0]]
        await made.close()

    run(main)


def test_those_behind_a_start_that_never_ran_are_refused() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor()
        made = scheduler(loop, executor, oldest={"max_candidate_sequences": 1})
        busy = task(made, loop, part(1, 1, start=True, end=True))
        lost = task(made, loop, part(2, 2, start=True))
        behind = [task(made, loop, part(3, 2)), task(made, loop, part(4, 2, end=True))]
        anew = task(made, loop, part(5, 2, start=True, end=True))
        await turns()
        lost.cancel()
        for each in behind:
            assert "must specify the START flag" in (await error_of(each)).message
        executor.runs[0].finish()
        await turns(8)
        assert executor.batches == [[1.0], [5.0]]
        executor.runs[1].finish()
        await asyncio.gather(busy, anew)
        assert made.sequences == 0
        await made.close()

    run(main)


def test_a_request_gives_up_waiting_in_time() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor()
        made = scheduler(loop, executor)
        first = task(made, loop, part(1, 1, start=True))
        await turns()
        late = part(2, 1, deadline=loop.clock() + 3 * MS)
        impatient = part(3, 1, parameters={"timeout": 2000})
        errors = await asyncio.gather(*(error_of(made.submit(each, loop.clock())) for each in (late, impatient)))
        assert all(isinstance(error, DeadlineExceededError) for error in errors)
        executor.runs[0].finish()
        await first
        assert made.queued == 0
        await made.close()

    run(main)


def test_the_queue_is_bounded_and_nobody_waits_for_a_model_that_leaves() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor()
        made = scheduler(loop, executor, queue=2)
        asked = [task(made, loop, part(value, 1, start=value == 1)) for value in (1, 2, 3)]
        await turns()
        error = await error_of(made.submit(part(4, 1), loop.clock()))
        assert isinstance(error, ResourceExhaustedError)
        assert "Exceeds maximum queue size" in error.message
        await made.close()
        executor.runs[0].finish()
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(results[0], InferResponse)
        assert all(isinstance(result, UnavailableError) for result in results[1:])
        assert isinstance(await error_of(made.submit(part(1, 9, start=True), loop.clock())), UnavailableError)

    run(main)


@pytest.mark.parametrize("in_model", [True, False])
def test_sequences_end_with_the_worker_that_knew_them(in_model: bool) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor()
        made = scheduler(loop, executor, **({} if in_model else {"state": [STATE]}))
        done = task(made, loop, part(1, 1, start=True))
        await turns()
        executor.runs[0].done.set_result(accumulate(executor.runs[0].request) if not in_model else echoed(part(1, 1)))
        await done
        running, behind = task(made, loop, part(2, 2, start=True)), task(made, loop, part(3, 2))
        anew = task(made, loop, part(4, 2, start=True, end=True))
        await turns()
        executor.slots = 0
        executor.slots = 1
        await turns()
        executor.runs[1].fail(InternalError("the worker was killed"))
        assert "was killed" in (await error_of(running)).message
        if in_model:
            assert "the worker that knew this sequence is gone" in (await error_of(behind)).message
            assert "must specify the START flag" in (await error_of(made.submit(part(5, 1), loop.clock()))).message
        for value in (4,) if in_model else (3, 4):
            await turns(8)
            assert executor.runs[-1].values == [value]
            executor.runs[-1].done.set_result(
                accumulate(executor.runs[-1].request) if not in_model else echoed(part(4, 1))
            )
        await anew
        await asyncio.gather(behind, return_exceptions=True)
        assert made.sequences == (0 if in_model else 1)
        await made.close()

    run(main)


def test_what_becomes_of_an_answer_is_not_the_states_business() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        made = scheduler(loop, ScriptedExecutor(answer=accumulate), state=[STATE])
        answer = await made.submit(part(1, 1, start=True), loop.clock())
        answer.outputs[0].array[...] = 1000  # it may be a view of memory that others write next
        assert await submit(made, loop, part(2, 1, end=True)) == [3.0]
        await made.close()

    run(main)


def test_a_failed_request_leaves_the_state_as_it_was() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor()
        made = scheduler(loop, executor, state=[STATE])
        for value, fails in ((1, False), (10, True), (2, False)):
            asked = task(made, loop, part(value, 1, start=value == 1))
            await turns()
            if fails:
                executor.runs[-1].fail(InvalidArgumentError("no"))
                assert (await error_of(asked)).message == "no"
            else:
                executor.runs[-1].done.set_result(accumulate(executor.runs[-1].request))
                answer = rows(await asked)
        assert answer == [3.0]
        await made.close()

    run(main)
