"""Models of a Triton repository, loaded in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oipserver.executor.pool import PoolManager
from oipserver.protocol import InferRequest, InferResponse, RequestedOutput
from oipserver.registry import Servable, ServableBuilder
from oipserver.repository import models_below
from oipserver.settings import Settings
from oipserver.tensor import Tensor


class Loaded:
    """A model ``m`` of a Triton repository, loaded in this process."""

    def __init__(self, root: Path, configuration: str | None = None, **settings: Any) -> None:
        if configuration is not None:
            (root / "m" / "config.pbtxt").write_text(configuration)
        server = Settings(**settings)

        async def load() -> Servable:
            scan = await models_below(server, root).scan()
            assert scan.problems == []
            servable = ServableBuilder(server, PoolManager(server)).build(scan.of("m")[0])
            await servable.load()
            return servable

        self.servable = asyncio.run(load())
        self.configuration = self.servable.configuration

    def tensors(self, side: str) -> list[tuple[str, str, list[int]]]:
        return [(each["name"], each["data_type"], each["dims"]) for each in self.configuration[side]]

    def shapes(self) -> list[tuple[int, ...]]:
        metadata = self.servable.face.metadata
        return [tensor.shape for tensor in (*metadata.inputs, *metadata.outputs)]

    def infer(self, outputs: Sequence[str] = (), **inputs: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        request = InferRequest("m", [Tensor.from_array(name, array) for name, array in inputs.items()])
        request.outputs = [RequestedOutput(name) for name in outputs]

        async def ask() -> InferResponse:
            self.servable.check(request)
            return await self.servable.scheduler.submit(request, 0)

        return {tensor.name: tensor.array for tensor in asyncio.run(ask()).outputs}
