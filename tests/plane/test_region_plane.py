"""Inference over regions holds them exactly as long as it needs them, whatever becomes of the request."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.shared_memory import SharedMemory
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from oipserver.errors import InvalidArgumentError, NotFoundError, OIPError, UnsupportedError
from oipserver.plane import ResponseCache
from oipserver.plane.extensions.shared_memory import Held, RegionPlane, RegionTable, SystemRegion
from oipserver.protocol import InferRequest, InferResponse
from oipserver.protocol.regions import Place, PlacedTensor
from oipserver.settings import Settings
from oipserver.tensor import Tensor
from tests.wire.rest.rest_world import Slow, planes

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
SIZE = 1 << 20


class World:
    def __init__(self, data: Any, table: RegionTable, memory: SharedMemory) -> None:
        self.data, self.table = data, table
        self.plane = RegionPlane(data, table)
        self.bytes = np.frombuffer(memory.buf, np.uint8)

    def request(self, model: str = "one", size: int = 16, out: int | None = None, **more: Any) -> InferRequest:
        shape = (size // 16, 4)
        places = {"x": Place("r", size if out is None else out, SIZE // 2)}
        return InferRequest(model, [PlacedTensor("x", "FP32", shape, Place("r", size))], regions=places, **more)

    @property
    def users(self) -> int:
        (region,) = self.table.status(SystemRegion)
        return region.users


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    memory = SharedMemory(f"oip-test-{uuid4().hex}", create=True, size=SIZE)
    table = RegionTable()
    try:
        async with planes(Settings()) as (data, _):
            table.register_system("r", memory.name, 0, SIZE)
            made = World(data, table, memory)
            yield made
            assert made.users == 0
            del made.bytes
    finally:
        table.close()
        gc.collect()
        memory.close()
        memory.unlink()


@pytest.mark.parametrize("size", [16, SIZE // 2])  # written on the loop, and in a thread
def test_the_result_is_written_and_the_region_given_back(size: int) -> None:
    async def main() -> None:
        async with world() as here:
            here.bytes[:size] = 7
            for infer in (here.plane.infer, lambda asked: asyncio.to_thread(here.plane.infer_here, asked)):
                here.bytes[SIZE // 2 :] = 0
                response = await infer(here.request(size=size))
                (placed,) = response.outputs
                assert isinstance(placed, PlacedTensor)
                assert placed.raw == b""
                assert (here.bytes[SIZE // 2 : SIZE // 2 + size] == 7).all()
                assert here.users == 0

    asyncio.run(main())


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"model": "nope"}, NotFoundError),
        ({"size": SIZE + 16}, InvalidArgumentError),
        ({"out": 15}, InvalidArgumentError),
        ({"model": "add"}, InvalidArgumentError),
        ({"model": "broken"}, OIPError),
    ],
)
def test_whatever_fails_the_region_is_given_back(change: dict[str, Any], kind: type[OIPError]) -> None:
    async def main() -> None:
        async with world() as here:

            async def in_thread(request: InferRequest) -> Any:
                return here.plane.infer_here(request) or await here.plane.infer(request)

            for infer in (here.plane.infer, in_thread):
                with pytest.raises(kind):
                    await infer(here.request(**change))
                assert here.users == 0

    asyncio.run(main())


def test_a_region_is_held_while_the_model_runs_and_not_when_the_caller_leaves() -> None:
    async def main() -> None:
        async with world() as here:
            task = asyncio.create_task(here.plane.infer(here.request("slow")))
            await Slow.entered.wait()
            assert here.users == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert here.users == 0
            assert Slow.cancelled == 1

    asyncio.run(main())


def test_work_given_up_before_it_began_holds_nothing() -> None:
    async def main() -> None:
        async with world() as here:
            work = here.plane.begin(here.request("slow"))
            assert not isinstance(work, InferResponse)
            assert here.users == 1
            del work
            gc.collect()
            assert here.users == 0

    asyncio.run(main())


def test_what_a_thread_could_not_answer_is_asked_again_with_its_places() -> None:
    async def main() -> None:
        async with world() as here:
            request = here.request("slow")
            assert here.plane.infer_here(request) is None
            assert here.users == 0
            assert isinstance(request.inputs[0], PlacedTensor)

    asyncio.run(main())


def test_each_answer_of_a_stream_is_written() -> None:
    async def main() -> None:
        async with world() as here:
            here.bytes[:8] = np.frombuffer(np.array([3], np.int64).tobytes(), np.uint8)
            number = PlacedTensor("n", "INT64", (1,), Place("r", 8))
            request = InferRequest("counting", [number], regions={"n": Place("r", 8, 64)})
            seen = []
            async for response in here.plane.stream(request):
                assert isinstance(response.outputs[0], PlacedTensor)
                seen.append(int(here.bytes[64:72].view(np.int64)[0]))
                assert here.users == 1
            assert seen == [0, 1, 2]

    asyncio.run(main())


def test_what_lies_in_regions_is_not_cached() -> None:
    """It can change between being looked at and being read, and others would be given the answer."""

    async def main() -> None:
        async with world() as here:
            servable = here.data._registry.find("echo")
            cache = ResponseCache(10, 1000)
            request = InferRequest("echo", [Tensor.from_array("x", np.ones(1))])
            assert cache.key(servable, request) is not None
            request.regions = {}
            assert cache.key(servable, request) is None

    asyncio.run(main())


def test_a_plane_without_regions_says_so() -> None:
    async def main() -> None:
        async with world() as here:
            with pytest.raises(UnsupportedError):
                _ = here.data.over_regions
            here.data.offer_regions(here.plane)
            assert here.data.over_regions is here.plane

    asyncio.run(main())


def test_holding_again_is_counted() -> None:
    async def main() -> None:
        async with world() as here:
            with Held(here.table, here.table.acquire(["r"])) as first, first.again():
                assert here.users == 2
            assert here.users == 0

    asyncio.run(main())
