"""Classification beside what else stands in a request's way: the cache, batches, streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from oipserver.errors import InvalidArgumentError
from oipserver.executor.pool import PoolManager
from oipserver.model import MLModel
from oipserver.plane import CachedDataPlane, DataPlane, ResponseCache
from oipserver.protocol import InferRequest, InferResponse, RequestedOutput, ServerMetadata, Timings
from oipserver.registry import ModelRegistry, ServableBuilder
from oipserver.settings import ModelSettings, Settings
from oipserver.tensor import Tensor

HERE = __name__


class Doubled(MLModel):
    """Twice its input; counts how often it was asked."""

    placement = "in-process"
    asked = 0

    def infer_tensors(self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Any) -> Sequence[Tensor]:
        type(self).asked += 1
        return [Tensor.from_array("y", inputs[0].array * 2)]


class Doubling(MLModel):
    """The same in pieces: doubled once, twice."""

    decoupled = True

    async def infer_requests(self, requests: Sequence[InferRequest]) -> Sequence[InferResponse]:
        raise AssertionError("a decoupled model is asked for pieces alone")

    async def stream_request(self, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
        for factor in (2, 4):
            output = Tensor.from_array("y", request.inputs[0].array * factor)
            yield InferResponse(request.model_name, [output], timings=Timings(1, 1, 1, 1))


@asynccontextmanager
async def plane(kind: str, *, cached: bool = False, **more: Any) -> AsyncIterator[DataPlane]:
    settings = Settings(parallel_workers=0)
    registry = ModelRegistry(ServableBuilder(settings, PoolManager(settings)))
    fields = {"name": "m", "implementation": f"{HERE}.{kind}", "cache_enabled": cached, **more}
    await registry.load("m", [ModelSettings.model_validate(fields)])
    common = (registry, ServerMetadata("x", "1"), lambda: True)
    try:
        yield CachedDataPlane(*common, ResponseCache(10, 1 << 20)) if cached else DataPlane(*common)
    finally:
        await registry.close()


def question(rows: list[list[float]], count: int) -> InferRequest:
    output = RequestedOutput("y", {"classification": count} if count else None)
    classes = {"y": count} if count else None
    return InferRequest("m", [Tensor.from_array("x", np.float32(rows))], outputs=[output], classes=classes)


def told(response: InferResponse | None) -> Any:
    assert response is not None
    return response.outputs[0].array.tolist()


def test_what_comes_from_the_cache_is_classified_once() -> None:
    async def main() -> None:
        async with plane("Doubled", cached=True) as data:
            asked = Doubled.asked
            for ask in (data.infer, data.infer, asyncio.to_thread):
                arguments = (question([[1, 2]], 1),) if ask == data.infer else (data.infer_here, question([[1, 2]], 1))
                assert told(await ask(*arguments)) == [[b"4.000000:1"]]
            assert Doubled.asked == asked + 1
            assert told(await data.infer(question([[1, 2]], 0))) == [[2, 4]]
            assert told(await data.infer(question([[1, 2]], 2))) == [[b"4.000000:1", b"2.000000:0"]]

    asyncio.run(main())


def test_requests_of_one_batch_have_counts_of_their_own() -> None:
    async def main() -> None:
        async with plane("Doubled", max_batch_size=8, max_batch_time=0.05) as data:
            asked = Doubled.asked
            counts = [0, 1, 2, 1, 1, 1, 1, 1]
            answers = await asyncio.gather(
                *(data.infer(question([[number, 0.5]], count)) for number, count in enumerate(counts))
            )
            assert Doubled.asked < asked + len(counts)  # the first may have run at once
            assert told(answers[0]) == [[0, 1]]
            assert told(answers[1]) == [[b"2.000000:0"]]
            assert told(answers[2]) == [[b"4.000000:0", b"1.000000:1"]]

    asyncio.run(main())


def test_every_piece_of_a_stream_is_classified() -> None:
    async def main() -> None:
        async with plane("Doubling") as data:
            pieces = [told(piece) async for piece in data.stream(question([[1, 2]], 1))]
            assert pieces == [[[b"4.000000:1"]], [[b"8.000000:1"]]]

    asyncio.run(main())


def test_what_cannot_be_classified_is_a_failure_that_is_counted() -> None:
    async def main() -> None:
        async with plane("Doubled") as data:
            (servable,) = data.models()
            asked = InferRequest("m", [Tensor.from_array("x", np.array([True]))], classes={"y": 1})
            asked.inputs[0] = Tensor.from_array("x", np.array([b"a"], object), "BYTES")
            with pytest.raises(InvalidArgumentError, match="unsupported type 'BYTES'"):
                await data.infer(asked)
            assert servable.in_flight == 0

    asyncio.run(main())
