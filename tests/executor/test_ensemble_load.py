"""What is checked when an ensemble is loaded, and how its steps run: side by side, in pieces, given up together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from typing import Any

import numpy as np
import pytest

from oipserver.errors import (
    InvalidArgumentError,
    ModelLoadError,
    NotFoundError,
    OIPError,
    UnavailableError,
    UnsupportedError,
)
from oipserver.executor.ensemble import EnsembleExecutor
from oipserver.protocol import InferRequest, InferResponse, ModelMetadata, RequestedOutput, TensorMetadata
from oipserver.runtime import ModelFace
from oipserver.settings import ModelSettings
from oipserver.tensor import Tensor

Step = tuple[str, Mapping[str, str], Mapping[str, str]]


class Model:
    """A loaded model whose answers a test decides: y from its inputs."""

    def __init__(
        self,
        answer: Callable[..., Coroutine[Any, Any, Any]],
        inputs: Mapping[str, str],
        *,
        streams: bool = False,
        shape: tuple[int, ...] = (-1, 1),
        optional: tuple[str, ...] = (),
        most: int | None = None,
    ) -> None:
        told = tuple(
            TensorMetadata(name, datatype, shape, optional=name in optional) for name, datatype in inputs.items()
        )
        metadata = ModelMetadata("m", inputs=told, outputs=(TensorMetadata("y", "FP32", shape),))
        self.face = ModelFace(metadata, streams=streams)
        self.settings = ModelSettings(configuration=None if most is None else {"max_batch_size": most})
        self.answer = answer
        self.leases = 0
        self.requests: list[InferRequest] = []

    async def infer(self, request: InferRequest) -> InferResponse:
        self.requests.append(request)
        value = await self.answer(**{tensor.name: tensor.array for tensor in request.inputs})
        return InferResponse("m", [Tensor.from_array("y", value)] if value is not None else [])

    async def stream(self, request: InferRequest) -> AsyncGenerator[InferResponse]:
        for number in (1, 2):
            answer = await self.infer(request)
            answer.outputs = [Tensor.from_array("y", answer.outputs[0].array * number)]
            yield answer

    def release(self) -> None:
        self.leases -= 1


class Members:
    def __init__(self, models: Mapping[str, Model]) -> None:
        self.models = dict(models)

    def acquire(self, name: str, version: str) -> Model:
        if name not in self.models or version:
            raise NotFoundError(f"Request for unknown model: '{name}' is not found")
        model = self.models[name]
        model.leases += 1
        return model


async def double(x: Any) -> Any:
    return x * 2


async def add(a: Any, b: Any = None) -> Any:
    return a if b is None else a + b


def models(**more: Model) -> dict[str, Model]:
    return {
        "double": Model(double, {"x": "FP32"}),
        "add": Model(add, {"a": "FP32", "b": "FP32"}, optional=("b",)),
        **more,
    }


def tensors(*names: str, dims: tuple[int, ...] = (1,), **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, "data_type": "TYPE_FP32", "dims": list(dims), **more} for name in names]


def ensemble(
    members: Members, steps: list[Step], *, inputs: Any = None, outputs: Any = None, most: int = 4
) -> EnsembleExecutor:
    declared = [
        {"model_name": model, "model_version": "-1", "input_map": dict(taken), "output_map": dict(given)}
        for model, taken, given in steps
    ]
    configuration = {
        "max_batch_size": most,
        "input": inputs or tensors("IN"),
        "output": outputs or tensors("OUT"),
        "ensemble_scheduling": {"step": declared},
    }
    return EnsembleExecutor(ModelSettings(name="e", configuration=configuration), members)


def one(value: float, **more: Any) -> InferRequest:
    return InferRequest("e", [Tensor.from_array("IN", np.full((1, 1), value, np.float32))], **more)


CHAIN: list[Step] = [("double", {"x": "IN"}, {"y": "m"}), ("double", {"x": "m"}, {"y": "OUT"})]
DIAMOND: list[Step] = [
    ("double", {"x": "IN"}, {"y": "l"}),
    ("double", {"x": "IN"}, {"y": "r"}),
    ("add", {"a": "l", "b": "r"}, {"y": "OUT"}),
]


def outputs(response: InferResponse) -> dict[str, float]:
    return {tensor.name: float(tensor.array[0, 0]) for tensor in response.outputs}


@pytest.mark.parametrize(
    ("steps", "more", "said"),
    [
        ([("double", {"x": "IN"}, {})], {}, "must specify 'output_map' in step 0"),
        ([("", {"x": "IN"}, {"y": "OUT"})], {}, "must specify 'model_name' in step 0"),
        ([], {}, "must specify 'step'"),
        ([("nope", {"x": "IN"}, {"y": "OUT"})], {}, "ensemble 'e' depends on 'nope' which has no loaded version"),
        ([("double", {"q": "IN"}, {"y": "OUT"})], {}, "'q' is not an input of the model, which has ['x']"),
        ([("double", {"x": "IN"}, {"z": "OUT"})], {}, "'z' is not an output of the model"),
        ([("add", {"b": "IN"}, {"y": "OUT"})], {}, "mapping must be specified for its input 'a'"),
        ([("double", {"x": "other"}, {"y": "OUT"})], {}, "tensor 'other', which step 0 (model 'double') needs"),
        ([("double", {"x": "IN"}, {"y": "m"})], {}, "no data will be written for ensemble output 'OUT'"),
        (CHAIN, {"inputs": tensors("IN", "IN2")}, "ensemble input 'IN2' for ensemble e is not used"),
        ([*CHAIN, CHAIN[0]], {}, "can appear in an output map only once"),
        ([("double", {"x": "IN"}, {"y": "IN"})], {}, "'IN' is an input, step 0 (model 'double') cannot write it"),
        (
            [("add", {"a": "IN", "b": "OUT"}, {"y": "m"}), ("double", {"x": "m"}, {"y": "OUT"})],
            {},
            "circular dependency between its steps",
        ),
        (
            [("ints", {"x": "IN"}, {"y": "OUT"})],
            {},
            "inconsistent data type: FP32 is expected for ensemble tensor 'IN'",
        ),
        ([("wide", {"x": "IN"}, {"y": "OUT"})], {}, "inconsistent shape: [-1, 1] is expected for ensemble tensor 'IN'"),
        (CHAIN, {"inputs": tensors("IN", dims=(3,))}, "inconsistent shape: [-1, 3]"),
        (
            [("few", {"x": "IN"}, {"y": "OUT"})],
            {},
            "allows maximum batch size 4, but step 0 (model 'few') allows only 2",
        ),
        (
            [("pieces", {"x": "IN"}, {"y": "m"}), ("double", {"x": "m"}, {"y": "OUT"})],
            {},
            "answers in pieces (decoupled), and other steps take its 'm'",
        ),
    ],
)
def test_what_does_not_make_a_whole(steps: list[Step], more: dict[str, Any], said: str) -> None:
    members = Members(
        models(
            ints=Model(double, {"x": "INT32"}),
            wide=Model(double, {"x": "FP32"}, shape=(-1, 2)),
            few=Model(double, {"x": "FP32"}, most=2),
            pieces=Model(double, {"x": "FP32"}, streams=True),
        )
    )
    with pytest.raises(ModelLoadError) as caught:
        asyncio.run(ensemble(members, steps, **more).load())
    assert said in caught.value.message
    assert "'e'" in caught.value.message
    assert not any(model.leases for model in members.models.values())


def test_a_member_that_failed_to_load_is_named_with_its_reason() -> None:
    class Broken(Members):
        def acquire(self, name: str, version: str) -> Model:
            raise UnavailableError("it is broken")

    with pytest.raises(ModelLoadError) as caught:
        asyncio.run(ensemble(Broken({}), CHAIN).load())
    assert caught.value.message == (
        "ensemble 'e' depends on 'double' which has no loaded version. Model 'double' loading failed with error: it is "
        "broken"
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
        members = Members(models(pieces=Model(double, {"x": "FP32"}, streams=True)))
        steps: list[Step] = [("double", {"x": "IN"}, {"y": "m"}), ("pieces", {"x": "m"}, {"y": "OUT"})]
        executor = ensemble(members, steps, outputs=tensors("OUT", "m"))
        assert (await executor.load()).streams
        assert [outputs(piece) async for piece in executor.stream(one(1))] == [{"OUT": 4, "m": 2}, {"OUT": 8, "m": 2}]
        with pytest.raises(UnsupportedError, match="needs a stream"):
            await executor.execute(one(1))
        assert not any(model.leases for model in members.models.values())

    asyncio.run(main())
