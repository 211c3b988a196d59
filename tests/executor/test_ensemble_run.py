"""How the steps of an ensemble run: side by side, in pieces, given up together, with what the request says."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from oipserver.errors import InvalidArgumentError, OIPError, UnavailableError, UnsupportedError
from oipserver.protocol import RequestedOutput
from tests.executor.ensembles import (
    CHAIN,
    DIAMOND,
    Members,
    Model,
    Step,
    double,
    ensemble,
    models,
    one,
    outputs,
    tensors,
)


def test_steps_get_what_the_request_says_and_only_what_is_mapped() -> None:
    async def main() -> None:
        members = Members(models())
        executor = ensemble(members, CHAIN)
        face = await executor.load()
        assert [tensor.shape for tensor in face.metadata.inputs] == [(-1, 1)]
        request = one(3, id="7", parameters={"priority": 1, "sequence_id": 5}, headers={"x-a": "b"}, deadline=10**18)
        assert outputs(await executor.execute(request)) == {"OUT": 12}
        for seen in members.models["double"].requests:
            assert (seen.id, seen.parameters, seen.headers, seen.deadline) == (
                *("7", {"priority": 1, "sequence_id": 5}, {"x-a": "b"}),
                10**18,
            )
            assert [output.name for output in seen.outputs] == ["y"]

    asyncio.run(main())


def test_tensors_pass_as_they_are() -> None:
    async def main() -> None:
        made = np.ones((1, 1), np.float32)
        taken: list[Any] = []

        async def give(x: Any) -> Any:
            return made

        async def take(x: Any) -> Any:
            taken.append(x)
            return x

        members = Members({"give": Model(give, {"x": "FP32"}), "take": Model(take, {"x": "FP32"})})
        steps: list[Step] = [("give", {"x": "IN"}, {"y": "m"}), ("take", {"x": "m"}, {"y": "OUT"})]
        executor = ensemble(members, steps)
        await executor.load()
        response = await executor.execute(one(1))
        assert taken[0] is made
        assert response.outputs[0].array is made

    asyncio.run(main())


def test_steps_that_need_nothing_of_each_other_run_side_by_side() -> None:
    async def main() -> None:
        both = asyncio.Barrier(2)

        async def meet(x: Any) -> Any:
            async with asyncio.timeout(10):
                await both.wait()
            return x

        members = Members(models(double=Model(meet, {"x": "FP32"})))
        executor = ensemble(members, DIAMOND, outputs=tensors("OUT", "l"))
        await executor.load()
        assert outputs(await executor.execute(one(3))) == {"OUT": 6, "l": 3}
        asked = one(3, outputs=[RequestedOutput("l")])
        assert outputs(await executor.execute(asked)) == {"l": 3}
        with pytest.raises(InvalidArgumentError, match="unexpected inference output 'r' for model 'e', expected"):
            await executor.execute(one(3, outputs=[RequestedOutput("r")]))

    asyncio.run(main())


def test_a_failure_names_its_step_stops_the_others_and_gives_the_leases_back() -> None:
    async def main() -> None:
        stopped: list[bool] = []

        async def fails(x: Any) -> Any:
            await asyncio.sleep(0)
            raise InvalidArgumentError("not this")

        async def hangs(x: Any) -> Any:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                stopped.append(True)
                raise

        members = Members(models(fails=Model(fails, {"x": "FP32"}), hangs=Model(hangs, {"x": "FP32"})))
        steps: list[Step] = [
            ("fails", {"x": "IN"}, {"y": "l"}),
            ("hangs", {"x": "IN"}, {"y": "r"}),
            ("add", {"a": "l", "b": "r"}, {"y": "OUT"}),
        ]
        executor = ensemble(members, steps)
        await executor.load()
        with pytest.raises(OIPError) as caught:
            await executor.execute(one(1))
        assert caught.value.code is InvalidArgumentError.code
        assert caught.value.message == "in ensemble 'e', step 0 (model 'fails'): not this"
        assert stopped == [True]
        asked = asyncio.create_task(executor.execute(one(1)))
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        assert asked.cancelled()
        assert not any(model.leases for model in members.models.values())

    asyncio.run(main())


def test_a_member_that_is_gone_is_no_mistake_of_the_caller() -> None:
    async def main() -> None:
        members = Members(models())
        executor = ensemble(members, DIAMOND)
        await executor.load()
        del members.models["add"]
        with pytest.raises(
            UnavailableError, match=r"in ensemble 'e', step 2 \(model 'add'\): Request for unknown model"
        ):
            await executor.execute(one(1))
        assert not any(model.leases for model in members.models.values())

    asyncio.run(main())


def test_what_is_optional_may_be_left_out() -> None:
    async def main() -> None:
        async def nothing(x: Any) -> Any:
            return None

        members = Members(models(nothing=Model(nothing, {"x": "FP32"})))
        steps: list[Step] = [("nothing", {"x": "IN"}, {"y": "n"}), ("add", {"a": "IN", "b": "n"}, {"y": "OUT"})]
        executor = ensemble(members, steps, outputs=tensors("OUT", "n"))
        await executor.load()
        assert outputs(await executor.execute(one(3, outputs=[RequestedOutput("OUT")]))) == {"OUT": 3}
        with pytest.raises(OIPError, match=r"step 0 \(model 'nothing'\) gave no tensor 'n'"):
            await executor.execute(one(3))

    asyncio.run(main())


def test_a_last_step_may_answer_in_pieces() -> None:
    async def main() -> None:
        members = Members(models(pieces=Model(double, {"x": "FP32"}, decoupled=True)))
        steps: list[Step] = [("double", {"x": "IN"}, {"y": "m"}), ("pieces", {"x": "m"}, {"y": "OUT"})]
        executor = ensemble(members, steps, outputs=tensors("OUT", "m"))
        assert (await executor.load()).streams
        assert [outputs(piece) async for piece in executor.stream(one(1))] == [{"OUT": 4, "m": 2}, {"OUT": 8, "m": 2}]
        with pytest.raises(UnsupportedError, match="needs a stream"):
            await executor.execute(one(1))
        assert not any(model.leases for model in members.models.values())

    asyncio.run(main())
