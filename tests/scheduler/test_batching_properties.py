"""Whatever comes in whatever order, every request ends exactly once, with its own rows and nobody else's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from oipserver.errors import InternalError, OIPError, UnavailableError
from oipserver.scheduler import BatchPolicy, BatchScheduler
from oipserver.telemetry.statistics import ModelStatistics
from tests.scheduler.virtual import MS, ScriptedExecutor, VirtualTimeLoop, face, request, rows, run, turns

SENDS = st.tuples(
    st.just("send"),
    st.integers(1, 9),  # rows
    st.sampled_from([{}, {}, {}, {"kind": 1}, {"priority": 1}, {"timeout": 3000}, {"odd": [1]}]),
    st.sampled_from([None, None, None, 4]),  # deadline, ms from now
)
STEPS = st.one_of(
    SENDS,
    SENDS,
    SENDS,
    st.tuples(st.just("finish"), st.integers(0, 5)),
    st.tuples(st.just("finish"), st.integers(0, 5)),
    st.tuples(st.just("fail"), st.integers(0, 5), st.sampled_from([InternalError, UnavailableError, ValueError])),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("slots"), st.integers(0, 3)),
    st.tuples(st.just("sleep"), st.integers(1, 8)),
    st.tuples(st.just("turn")),
    st.tuples(st.just("close")),
)
POLICIES = st.builds(
    dict,
    max_batch_size=st.sampled_from([2, 4, 6]),
    max_batch_time=st.sampled_from([0, 0, 2 * MS, 50 * MS]),
    preferred_batch_sizes=st.sampled_from([(), (2,)]),
    queue_timeout=st.sampled_from([None, 6 * MS]),
    priority_levels=st.sampled_from([0, 2]),
    max_queue_size=st.sampled_from([3, 100]),
    independent_rows=st.booleans(),
    stateful=st.booleans(),
)


@dataclass
class World:
    """A scheduler, what was sent to it, and what came of it."""

    loop: VirtualTimeLoop
    policy: dict[str, Any]
    next_value: int = 0
    sent: list[tuple[list[float], asyncio.Task[None]]] = field(default_factory=list)
    answers: dict[int, list[float]] = field(default_factory=dict)
    errors: dict[int, Exception] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.executor = ScriptedExecutor(slots=1)
        self.scheduler = BatchScheduler(
            "m", self.executor, ModelStatistics(), BatchPolicy(**self.policy), self.loop.clock
        )
        self.executor.changed = self.scheduler.slots_changed
        self.scheduler.loaded(face(-1, 1))

    def under_way(self) -> list[Any]:
        return [each for each in self.executor.runs if not each.done.done()]

    async def step(self, step: tuple[Any, ...]) -> None:
        kind, *arguments = step
        await getattr(self, f"do_{kind}")(*arguments)
        busy = len(self.under_way())
        # Slots may be taken away from executions under way; none starts beyond them.
        self.most = max(getattr(self, "most", 1), self.executor.slots)
        assert busy <= self.most

    async def do_send(self, count: int, parameters: dict[str, Any], deadline: int | None) -> None:
        values = [float(self.next_value + index) for index in range(count)]
        self.next_value += count
        number = len(self.sent)
        instant = None if deadline is None else self.loop.clock() + deadline * MS

        async def ask() -> None:
            try:
                sent = request(*values, parameters=parameters, deadline=instant)
                answer = rows(await self.scheduler.submit(sent, self.loop.clock()))
            except (OIPError, ValueError) as error:
                self.errors[number] = error
            else:
                self.answers[number] = answer

        self.sent.append((values, self.loop.create_task(ask())))

    async def do_finish(self, index: int) -> None:
        if runs := self.under_way():
            runs[index % len(runs)].finish()

    async def do_fail(self, index: int, kind: type[Exception]) -> None:
        if runs := self.under_way():
            runs[index % len(runs)].fail(kind("broken"))

    async def do_cancel(self, index: int) -> None:
        if self.sent:
            self.sent[index % len(self.sent)][1].cancel()

    async def do_slots(self, count: int) -> None:
        self.executor.slots = count

    async def do_sleep(self, milliseconds: int) -> None:
        await asyncio.sleep(milliseconds / 1000)

    async def do_turn(self) -> None:
        await turns(1)

    async def do_close(self) -> None:
        await self.scheduler.close()

    async def settle(self) -> None:
        """Let everything end: slots for all, every execution finished."""
        self.executor.slots = 2
        for _ in range(10 * len(self.sent) + 10):
            await turns(3)
            for each in self.under_way():
                each.finish()
            if all(task.done() for _, task in self.sent):
                break
            await asyncio.sleep(0.1)
        await turns()


@settings(max_examples=150, deadline=None)
@given(POLICIES, st.lists(STEPS, min_size=3, max_size=40))
def test_every_request_ends_once_with_its_own_rows(policy: dict[str, Any], steps: list[tuple[Any, ...]]) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        world = World(loop, policy)
        for step in steps:
            await world.step(step)
        await world.settle()
        for number, (values, task) in enumerate(world.sent):
            assert task.done(), f"request {number} never ended"
            ends = (number in world.answers) + (number in world.errors) + task.cancelled()
            assert ends == 1, task
            if number in world.answers:
                assert world.answers[number] == [2 * value for value in values]
        for under_way in world.executor.runs:
            size = len(under_way.values)
            whole = any(under_way.values == values for values, _ in world.sent)
            assert size <= policy["max_batch_size"] or (whole and not _may_be_split(policy))
        assert world.scheduler.queued == 0
        assert world.scheduler._slots.held == 0
        assert world.scheduler._crowd.present == 0
        assert not world.scheduler._running

    run(main)


def _may_be_split(policy: dict[str, Any]) -> bool:
    return bool(policy["independent_rows"])
