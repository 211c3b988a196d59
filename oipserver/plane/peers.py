"""Calls of models to other models, admitted and handed to the data plane like a client's; knows no worker."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from ..errors import InternalError, OIPError, UnavailableError
from ..peers import call_name
from ..protocol import InferRequest, InferResponse
from ..registry import ModelRegistry
from ..repository.overrides import Overrides
from .control import ControlPlane
from .data import DataPlane

#: Models that may wait for one another in a row: more is a mistake, and each of them holds a place of its own.
MAX_DEPTH = 16


class ModelCalls:
    """A Caller over the server's own planes. Made before them, as executors need it; ``connect`` makes it whole."""

    def __init__(self) -> None:
        self._planes: tuple[ModelRegistry, DataPlane, ControlPlane] | None = None

    def connect(self, registry: ModelRegistry, data: DataPlane, control: ControlPlane) -> None:
        """From now on calls are answered, by ``data`` and ``control`` over ``registry``."""
        self._planes = registry, data, control

    def _connected(self) -> tuple[ModelRegistry, DataPlane, ControlPlane]:
        if self._planes is None:
            raise UnavailableError("the server has not started yet", retry_after=1.0)
        return self._planes

    async def infer(self, request: InferRequest) -> InferResponse:
        registry, data, _ = self._connected()
        _admit(registry, request)
        return await data.infer(request)

    async def stream(self, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
        registry, data, _ = self._connected()
        _admit(registry, request)
        async with aclosing(data.stream(request)) as responses:
            async for response in responses:
                yield response

    async def ready(self, name: str, version: str) -> bool:
        _, data, _ = self._connected()
        try:
            return data.model_ready(name, version)
        except OIPError:
            return False

    async def load(self, name: str, config: str, files: Mapping[str, bytes]) -> None:
        _, _, control = self._connected()
        contents = {path.removeprefix("file:"): data for path, data in files.items()}
        await control.load(name, Overrides(config or None, contents) if config or contents else None)

    async def unload(self, name: str, dependents: bool) -> None:
        _, _, control = self._connected()
        await control.unload(name, dependents=dependents)


def _admit(registry: ModelRegistry, request: InferRequest) -> None:
    """Raises InternalError for a call that would lead back to one of those it comes from, or too deep."""
    servable = registry.find(request.model_name, request.model_version)
    callee = call_name(servable.name, servable.version)
    if callee in request.path:
        way = " -> ".join((*request.path, callee))
        raise InternalError(f"models must not call each other in a circle: {way}")
    if len(request.path) >= MAX_DEPTH:
        way = " -> ".join((*request.path, callee))
        raise InternalError(f"models call each other more than {MAX_DEPTH} deep: {way}")
