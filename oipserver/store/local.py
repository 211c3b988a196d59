"""Models in this process, without a network: what a server puts around them, called from any thread or event loop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from ..codecs import PandasCodec
from ..errors import InvalidArgumentError, NotFoundError, UnavailableError
from ..executor.pool import PoolManager
from ..peers import Answer
from ..plane import DataPlane
from ..protocol import InferRequest, ModelMetadata, RequestedOutput, ServerMetadata, TensorMetadata
from ..registry import ModelRegistry, ServableBuilder
from ..repository import models_below
from ..settings import ModelSettings, Settings
from ..tensor import DATATYPES, Parameters, Tensor
from ..types import InferenceRequest, InferenceResponse
from ..types.outgoing import request_from_public, response_to_public
from .store import ModelStore

_Result = TypeVar("_Result")


def local(model: str | os.PathLike[str], *, store: ModelStore | None = None) -> LocalModel:
    """A model loaded in this process: the one that a tag means in ``store`` (by default, the store there is), or the
    only one in a folder or ``.onnx`` file. Text with a slash is a path, other text a tag. Close it when done.

    Raises NotFoundError, and ModelLoadError saying why it cannot be loaded.
    """
    return LocalModel(place_of(model, store)).init_local()


def place_of(model: str | os.PathLike[str], store: ModelStore | None = None) -> Path:
    """Where ``model``, a tag or a path, lies. Raises NotFoundError."""
    if isinstance(model, str) and os.sep not in model and "/" not in model and model not in (".", ".."):
        return (store or ModelStore()).get(model).path
    path = Path(model)
    if not path.exists():
        raise NotFoundError(f"there is no {path}")
    return path


class LocalModel:
    """One model with its checks, queue and batches, as a server has it.

    ``init_local`` loads it. ``predict`` (also called ``run``) and ``async_run`` ask it; all of them may be called by
    several threads at once. ``close`` lets it go.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._loop: _Loop | None = None
        self._plane: DataPlane | None = None
        self._close: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._name = self._version = ""
        #: ``predict(data)``, and as runners have it ``predict.run(data)`` and ``predict.async_run(data)``.
        self.predict = _Method(self)

    # -- life ------------------------------------------------------------------------------------------------------

    def init_local(self) -> LocalModel:
        """Load the model, where it is not yet. Raises ModelLoadError, InvalidArgumentError where there is not just one
        model in the folder."""
        if self._loop is None:
            loop = _Loop()
            try:
                loop.call(self._load())
            except BaseException:
                loop.stop()
                raise
            self._loop = loop
        return self

    async def _load(self) -> None:
        found = _only(await models_below(Settings(), self._place).scan(), self._place)
        settings = found.model_copy(update={"parallel_workers": 0})
        server = Settings(parallel_workers=0)
        pools = PoolManager(server)
        registry = ModelRegistry(builder := ServableBuilder(server, pools))
        builder.members.connect(registry)
        await registry.load(settings.name, [settings])
        self._plane = DataPlane(registry, ServerMetadata("oipserver", "", ()), lambda: True)
        self._name, self._version = settings.name, settings.version

        async def close() -> None:
            await registry.close()
            await pools.close()

        self._close = close

    def close(self) -> None:
        """Unload the model, once what it was asked is answered."""
        loop, self._loop = self._loop, None
        if loop is not None:
            assert self._close is not None, "loaded together"
            loop.call(self._close())
            loop.stop()

    def __enter__(self) -> LocalModel:
        return self.init_local()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- asking ----------------------------------------------------------------------------------------------------

    @property
    def metadata(self) -> ModelMetadata:
        """What the model tells of its inputs and outputs. Raises UnavailableError where it is not loaded."""
        self._running()
        assert self._plane is not None, "loaded together"
        return self._plane.model_metadata(self._name, self._version)

    def run(self, data: Any = None, **options: Any) -> Any:
        """Predict for ``data``: an InferenceRequest gives an InferenceResponse; a mapping of arrays by name, or arrays
        as keywords, the outputs as arrays by name; one array, list or DataFrame the only output as an array, or by name
        where there are several.

        ``outputs`` are the names of those wanted, ``parameters`` those of the request. Raises OIPError as a server
        answers it: InvalidArgumentError for inputs that are not as the model expects them.
        """
        return self._running().call(self._answer(data, **options))

    async def async_run(self, data: Any = None, **options: Any) -> Any:
        """As ``run``, for coroutines of any event loop."""
        return await asyncio.wrap_future(self._running().submit(self._answer(data, **options)))

    def _running(self) -> _Loop:
        if self._loop is None:
            raise UnavailableError(f"the model in {self._place} is not loaded: init_local() comes first")
        return self._loop

    async def _answer(
        self,
        data: Any,
        *,
        outputs: Sequence[str] = (),
        parameters: Parameters | None = None,
        **arrays: Any,
    ) -> Any:
        assert self._plane is not None, "loaded together"
        if isinstance(data, InferenceRequest):
            return await self._asked(data)
        metadata = self._plane.model_metadata(self._name, self._version)
        request = _request(data, arrays, metadata)
        request.model_version = self._version
        request.outputs = [RequestedOutput(name) for name in outputs]
        request.parameters = {**request.parameters, **(parameters or {})}
        answer = Answer(await self._plane.infer(request))
        by_name = data is None or isinstance(data, Mapping) or len(answer) != 1
        return answer if by_name else next(iter(answer.values()))

    async def _asked(self, given: InferenceRequest) -> InferenceResponse:
        assert self._plane is not None, "loaded together"
        request = request_from_public(given, self._name)
        request.model_version = self._version
        return response_to_public(await self._plane.infer(request))


class _Method:
    """A model's way to predict, as something to call and as the method of a runner."""

    def __init__(self, model: LocalModel) -> None:
        self.run = model.run
        self.async_run = model.async_run

    def __call__(self, data: Any = None, **options: Any) -> Any:
        """See ``LocalModel.run``."""
        return self.run(data, **options)


class _Loop:
    """An event loop in a thread of its own, for callers that have none, or another one."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="oipserver-local", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, _Result]) -> Any:
        """``work`` begun; a future of ``concurrent.futures``."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """What ``work`` gives, waited for in the calling thread. Raises what it raises."""
        future = self.submit(work)
        try:
            result: _Result = future.result()
        except BaseException:
            future.cancel()
            raise
        return result

    def stop(self) -> None:
        """End the thread, and those that it had started."""
        self.call(self._loop.shutdown_asyncgens())
        self.call(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _only(scan: Any, place: Path) -> ModelSettings:
    if scan.problems:
        raise InvalidArgumentError("; ".join(scan.problems))
    if len(scan.models) != 1:
        found = ", ".join(f"{model.name}:{model.version}".rstrip(":") for model in scan.models) or "none"
        raise InvalidArgumentError(f"expected one model in {place}, found {found}")
    settings: ModelSettings = scan.models[0]
    return settings


def _request(data: Any, arrays: Mapping[str, Any], metadata: ModelMetadata) -> InferRequest:
    """The request that ``data`` and ``arrays`` by name mean. Raises InvalidArgumentError."""
    known = {tensor.name: tensor for tensor in metadata.inputs}
    if data is None or isinstance(data, Mapping):
        given = {**(data or {}), **arrays}
        return InferRequest(metadata.name, [_tensor(name, value, known.get(name)) for name, value in given.items()])
    if arrays:
        raise InvalidArgumentError("expected one array, or arrays by name; got both")
    if PandasCodec.can_encode(data):
        if len(known) != 1 or {str(column) for column in data.columns} & known.keys():
            return request_from_public(PandasCodec.encode_request(data), metadata.name)
        data = data.to_numpy()
        if data.dtype == object or not _fits(data, next(iter(known.values()))):
            return _request(data.tolist(), {}, metadata)
    only = next(iter(known.values())) if len(known) == 1 else None
    return InferRequest(metadata.name, [_tensor(only.name if only else "input-0", data, only)])


def _fits(array: np.ndarray[Any, Any], told: TensorMetadata) -> bool:
    return bool(array.dtype == DATATYPES[told.datatype].dtype)


def _tensor(name: str, value: Any, told: TensorMetadata | None) -> Tensor:
    """``value`` as an input. An array is what it is; of lists and numbers, which have no type, the model says it."""
    if isinstance(value, Tensor):
        return value.renamed(name)
    typed = hasattr(value, "dtype")
    array = np.asarray(value)
    if not typed and told is not None and told.datatype not in ("BYTES", "BF16") and array.dtype.kind in "biuf":
        array = array.astype(DATATYPES[told.datatype].dtype)
    return Tensor.from_array(name, array)
