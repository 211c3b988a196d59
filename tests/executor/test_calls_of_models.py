"""What carries the calls of models in workers: tensors of any size, streams, errors, and the end of either side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oipserver.errors import InternalError, NotFoundError
from oipserver.executor import Executor
from oipserver.executor.pool import PoolManager
from oipserver.peers import Caller
from oipserver.protocol import InferRequest, InferResponse
from oipserver.settings import Settings
from oipserver.tensor import Tensor
from tests.executor.support import model_settings, request, until


class Others(Caller):
    """The other models: twice its input, or as many parts as are read; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.waiting = self.given_up = self.parts = 0
        self.forever = False
        self.control: list[Any] = []

    async def infer(self, request: InferRequest) -> InferResponse:
        self.asked.append(request.path)
        array = request.inputs[0].array
        if array.size and array.ravel()[0] == -1:
            raise NotFoundError("no such model")
        if self.forever:
            self.waiting += 1
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.given_up += 1
                raise
        return InferResponse("other", [Tensor.from_array("y", array * 2)], "7", request.id)

    async def stream(self, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
        try:
            for _ in range(5000):
                self.parts += 1
                yield InferResponse("other", [Tensor.from_array("y", np.zeros(20_000))])
        finally:
            self.given_up += 1

    async def ready(self, name: str, version: str) -> bool:
        return name == "other"

    async def load(self, name: str, config: str, files: Mapping[str, bytes]) -> None:
        self.control.append((name, config, dict(files)))

    async def unload(self, name: str, dependents: bool) -> None:
        self.control.append((name, dependents))


@asynccontextmanager
async def asking(kind: str, others: Caller, **settings: Any) -> AsyncIterator[tuple[Executor, PoolManager]]:
    manager = PoolManager(Settings.model_validate(settings), memory=64 << 20, caller=others)
    executor = manager.executor(model_settings(f"callers.{kind}", name="asker"))
    try:
        await executor.load()
        yield executor, manager
        await executor.unload()
    finally:
        await manager.close()


async def nothing_is_left(manager: PoolManager) -> None:
    (pool,) = manager.pools
    for worker in pool.workers:
        await until(lambda worker=worker: worker.blocks_in_use == 0)


def value(response: InferResponse) -> np.ndarray[Any, Any]:
    return response.outputs[0].array.ravel()


@pytest.mark.parametrize("size", [1, 5_000, 1_000_000])
def test_tensors_of_any_size(size: int) -> None:
    async def ask() -> None:
        others = Others()
        async with asking("Asker", others) as (executor, manager):
            array = np.arange(size, dtype=np.float64)
            for _ in range(3):
                response = await executor.execute(request(array, array + 1))
                np.testing.assert_array_equal(value(response), 4 * array + 2)
            assert set(others.asked) == {("asker",)}
            del response
            await nothing_is_left(manager)

    asyncio.run(ask())


def test_errors_are_the_callers() -> None:
    async def ask() -> None:
        async with asking("Asker", Others()) as (executor, manager):
            with pytest.raises(NotFoundError, match="no such model"):
                await executor.execute(request(np.array([-1.0])))
            await nothing_is_left(manager)

    asyncio.run(ask())


def test_more_than_fits_the_shared_memory() -> None:
    async def ask() -> None:
        async with asking("Asker", Others()) as (executor, manager):
            large = np.zeros(3_000_000)  # three of them are more than one half holds
            outcomes = await asyncio.gather(
                *(executor.execute(request(large, large)) for _ in range(6)), return_exceptions=True
            )
            assert all(
                getattr(outcome, "retry_after", 0) == 1.0 for outcome in outcomes if isinstance(outcome, Exception)
            )
            assert value(await executor.execute(request(np.ones(3)))).tolist() == [2, 2, 2]
            del outcomes
            await nothing_is_left(manager)

    asyncio.run(ask())


@pytest.mark.parametrize(("read", "parts"), [(3, 3), (-1, 5000)])
def test_streams_wait_for_their_reader(read: int, parts: int) -> None:
    async def ask() -> None:
        others = Others()
        async with asking("Reader", others) as (executor, manager):
            assert value(await executor.execute(request(np.array([read])))).tolist() == [parts]
            await until(lambda: others.given_up == 1)
            assert parts <= others.parts <= parts + 20
            await nothing_is_left(manager)

    asyncio.run(ask())


def test_nobody_waits_any_more() -> None:
    async def ask() -> None:
        others = Others()
        others.forever = True
        async with asking("Asker", others) as (executor, manager):
            task = asyncio.create_task(executor.execute(request(np.ones(10_000), np.ones(1))))
            await until(lambda: others.waiting == 2)
            task.cancel()
            await until(lambda: others.given_up == 2)
            others.forever = False
            assert value(await executor.execute(request(np.ones(1)))).tolist() == [2]
            await nothing_is_left(manager)

    asyncio.run(ask())


def test_a_worker_that_dies_waits_for_nothing() -> None:
    async def ask() -> None:
        others = Others()
        others.forever = True
        async with asking("DiesWaiting", others, worker_retry=False) as (executor, _):
            with pytest.raises(InternalError, match="exit code 1"):
                await executor.execute(request(np.ones(1)))
            await until(lambda: others.given_up == 1)

    asyncio.run(ask())


def test_a_suspect_gets_what_it_asks_of_its_own_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request whose worker died runs once more, alone in the only worker: what it calls must still get in."""
    monkeypatch.setenv("DIES_ONCE_MARK", str(tmp_path / "mark"))

    class Neighbour(Others):
        executor: Executor

        async def infer(self, request: InferRequest) -> InferResponse:
            return await self.executor.execute(request)

    async def ask() -> None:
        others = Neighbour()
        manager = PoolManager(Settings(), memory=64 << 20, caller=others)
        others.executor = manager.executor(model_settings("Doubler"))
        executor = manager.executor(model_settings("callers.DiesOnce"))
        try:
            await others.executor.load()
            await executor.load()
            async with asyncio.timeout(20):
                assert value(await executor.execute(request(np.ones(2)))).tolist() == [2, 2]
        finally:
            await manager.close()

    asyncio.run(ask())


def test_control() -> None:
    async def ask() -> None:
        others = Others()
        async with asking("Controller", others) as (executor, _):
            assert value(await executor.execute(request(np.ones(1)))).tolist() == [1]
            assert others.control == [("other", "{}", {"file:1/model.onnx": b"\x00\xff"}), ("other", True)]

    asyncio.run(ask())


def test_a_pool_without_a_caller() -> None:
    async def ask() -> None:
        manager = PoolManager(Settings(), memory=64 << 20)
        executor = manager.executor(model_settings("callers.Asker"))
        try:
            await executor.load()
            with pytest.raises(InternalError, match="passes no calls"):
                await executor.execute(request(np.ones(1)))
        finally:
            await manager.close()

    asyncio.run(ask())
