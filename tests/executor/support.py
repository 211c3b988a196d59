"""What the executors' tests share: settings of their models, pools that end with the test, and short requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from oipserver.executor import Executor
from oipserver.executor.pool import PoolManager
from oipserver.protocol import InferRequest, InferResponse
from oipserver.settings import ModelSettings, Settings
from oipserver.tensor import Tensor

FOLDER = Path(__file__).parent / "model_folder"
PATIENCE = 20.0  # seconds until a test that waits for something gives up


def model_settings(kind: str, folder: Path = FOLDER, **more: Any) -> ModelSettings:
    """Settings of the model ``kind``: a class of ``models.py`` in ``folder``, or ``module.Class``."""
    implementation = kind if "." in kind else f"models.{kind}"
    settings = ModelSettings.model_validate({"name": kind.lower(), "implementation": implementation, **more})
    settings._source = str(folder / "model-settings.json")
    return settings


def request(*arrays: Any, outputs: Any = (), **parameters: Any) -> InferRequest:
    """A request with inputs ``x0``, ``x1``, ..."""
    tensors = [Tensor.from_array(f"x{index}", np.asarray(array)) for index, array in enumerate(arrays)]
    return InferRequest("any", tensors, id="r1", outputs=list(outputs), parameters=parameters)


@asynccontextmanager
async def pool_manager(**settings: Any) -> AsyncIterator[PoolManager]:
    """A manager with small shared memory, closed at the end."""
    timers = settings.pop("timers", None)
    memory = settings.pop("memory", 256 << 20)
    manager = PoolManager(Settings.model_validate(settings), timers=timers, memory=memory)
    try:
        yield manager
    finally:
        await manager.close()


@asynccontextmanager
async def loaded(kind: str, model: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[Executor]:
    """An executor of the model ``kind`` in a pool of its own manager."""
    async with pool_manager(**settings) as manager:
        executor = manager.executor(model_settings(kind, **(model or {})))
        await executor.load()
        yield executor
        await executor.unload()


async def until(condition: Callable[[], Any], what: str = "") -> None:
    """Wait for something that happens in another process and that nobody here is told of."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # other processes have no event of ours
            await asyncio.sleep(0.005)


async def parts_of(answers: AsyncIterator[InferResponse], parts: list[InferResponse]) -> None:
    """Read a stream into ``parts``, also where it fails."""
    async for part in answers:
        parts.append(part)  # noqa: PERF401  # what came before an error is kept


def parameters_of(response: InferResponse) -> dict[str, Any]:
    """The answer's parameters."""
    return dict(response.parameters or {})


def pids(manager: PoolManager) -> list[int]:
    """The live workers of the only pool."""
    (pool,) = manager.pools
    return [worker.pid for worker in pool.workers]
