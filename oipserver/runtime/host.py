"""One loaded model and how it is called; the same in the server's process and in a worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from time import monotonic_ns
from typing import Any

from ..errors import (
    InternalError,
    InvalidArgumentError,
    MLServerError,
    ModelLoadError,
    OIPError,
    UnsupportedError,
)
from ..model import MLModel, has_fast_path, streams, takes_requests
from ..peers import Caller, executing
from ..protocol import InferRequest, InferResponse, ModelMetadata, TensorMetadata, Timings
from ..protocol.v2_json import read_request
from ..settings import ModelSettings
from ..telemetry.context import model_context
from ..types import InferenceRequest, InferenceResponse, MetadataTensor, from_public, to_public
from .handlers import HandlerRequest, HandlerResponse, call_handler, find_handlers
from .resolve import release_class, resolve_class

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelFace:
    """What the rest of the server needs to know of a loaded model, wherever it was loaded. Plain data: it crosses
    process boundaries. ``details["handlers"]`` lists its custom handlers, each the fields of a HandlerRoute;
    ``details["configuration"]`` is what the model made of its configuration in Triton's form, where it did."""

    metadata: ModelMetadata
    fast: bool = False
    lists: bool = False  # whether it takes several requests at once, each as it came
    streams: bool = False
    decoupled: bool = False  # whether it answers in pieces alone, any number of them
    strict: bool = True  # whether requests must have the inputs that the metadata tells
    instances: int = 1
    execution_provider: str = ""
    details: dict[str, Any] = field(default_factory=dict)


class ModelHost:
    """Makes a model from its settings, loads it, and turns each internal request into a call of its code.

    Whatever the model's code raises leaves as an OIPError: its own as they are, any other exception as INTERNAL with
    its type and message, the traceback going to the log alone.
    """

    def __init__(self, settings: ModelSettings, caller: Caller | None = None) -> None:
        """``caller`` passes on what the model asks of other models."""
        self._settings = settings
        self._caller = caller
        self._kind: type[MLModel] | None = None
        self._model: MLModel | None = None
        self._fast = self._lists = False
        self._into: Any = None  # its infer_tensors, where that takes targets

    @property
    def model(self) -> MLModel:
        """The loaded model."""
        assert self._model is not None, "load() comes first"
        return self._model

    async def load(self) -> ModelFace:
        """Make and load the model. Raises ModelLoadError naming it and the reason."""
        with model_context(self._settings.name, self._settings.version):
            return await self._load()

    async def _load(self) -> ModelFace:
        name = self._settings.name
        try:
            self._kind = resolve_class(self._settings)
            model = self._kind(self._settings)
            model._caller = self._caller
            ready = await model.load()
            if ready is False:
                raise ModelLoadError(f"model '{name}': load() returned False")
            model.ready = True
            self._model, self._fast, self._lists = model, has_fast_path(model), takes_requests(model)
            self._into = model.infer_tensors if model.fills_targets else None
            await self._warm_up()
            return await self._face(model)
        except OIPError:
            await self.unload()
            raise
        except Exception as error:
            _log.exception("model '%s' failed to load", name)
            await self.unload()
            raise ModelLoadError(f"model '{name}' failed to load: {type(error).__name__}: {error}") from error

    async def _warm_up(self) -> None:
        """Run the settings' warm-up requests: no caller pays for what a model does only once.

        Raises ModelLoadError saying which one failed and why; the model is unloaded then.
        """
        name = self._settings.name
        for number, raw in enumerate(self._settings.warmup, start=1):
            try:
                request, _ = read_request(raw, name)
                if self._fast:
                    await asyncio.to_thread(self.infer_now, request)
                elif getattr(self.model, "decoupled", False):
                    async for _ in self.stream(request):
                        pass
                else:
                    await self.infer(request)
            except OIPError as error:
                raise ModelLoadError(f"model '{name}': warm-up request {number} failed: {error.message}") from error

    async def unload(self) -> None:
        """Let the model release what it took. What it raises is logged: the model is gone either way."""
        model, self._model, self._into = self._model, None, None
        if model is not None:
            model.ready = False
            try:
                await model.unload()
            except Exception:
                _log.exception("model '%s' failed to unload", self._settings.name)
        kind, self._kind = self._kind, None
        if kind is not None:
            release_class(kind)

    async def _face(self, model: MLModel) -> ModelFace:
        told = await model.metadata()
        settings = self._settings
        parameters = told.parameters.model_dump() if told.parameters else {}
        return ModelFace(
            metadata=ModelMetadata(
                name=settings.name,
                versions=tuple(told.versions or ()),
                platform=settings.platform or told.platform,
                inputs=tuple(_tensor_metadata(tensor) for tensor in told.inputs or ()),
                outputs=tuple(_tensor_metadata(tensor) for tensor in told.outputs or ()),
                parameters=parameters,
            ),
            fast=self._fast,
            lists=self._lists,
            streams=streams(model),
            decoupled=getattr(model, "decoupled", False) is True,
            strict=self._strict(model),
            instances=getattr(model, "instances", 1),
            execution_provider=getattr(model, "execution_provider", ""),
            details=_details(model),
        )

    def _strict(self, model: MLModel) -> bool:
        """Models of MLServer declare inputs for their content types alone: predict() is not guarded unasked."""
        asked = self._settings.enforce_inputs
        return model.strict_inputs and (self._fast or self._lists) if asked is None else asked

    def infer_now(self, request: InferRequest) -> InferResponse:
        """Answer by the fast path, in the calling thread. Raises OIPError."""
        model, wanted = self._model, request.outputs
        assert model is not None, "load() comes first"
        names = [output.name for output in wanted] if wanted else []
        start = monotonic_ns()
        try:
            if request.regions and self._into is not None:
                targets = {output.name: output.into for output in wanted if output.into is not None}
                outputs = self._into(request.inputs, names, request.parameters, targets)
            else:
                outputs = model.infer_tensors(request.inputs, names, request.parameters)
        except OIPError:
            raise
        except Exception as error:
            raise self._failure(error) from error
        end = monotonic_ns()
        return InferResponse(
            request.model_name,
            outputs if type(outputs) is list else list(outputs),
            request.model_version,
            request.id,
            timings=Timings(infer_start=start, infer_end=end),
        )

    async def infer(self, request: InferRequest) -> InferResponse:
        """Answer by whichever way the model has. Raises OIPError."""
        if self._fast:
            return self.infer_now(request)
        if self._lists:
            (outcome,) = await self.infer_all([request])
            if isinstance(outcome, OIPError):
                raise outcome
            return outcome
        start = monotonic_ns()
        token = executing.set(request)
        try:
            answer = await self.model.predict(to_public(request))
        except OIPError:
            raise
        except Exception as error:
            raise self._failure(error) from error
        finally:
            executing.reset(token)
        end = monotonic_ns()
        return self._finish(answer, request, start, end)

    async def infer_all(self, requests: Sequence[InferRequest]) -> list[InferResponse | OIPError]:
        """Answer each of ``requests`` at once, by a model that takes lists. Raises OIPError where all of them fail."""
        start = monotonic_ns()
        try:
            outcomes = list(await self.model.infer_requests(requests))
        except OIPError:
            raise
        except Exception as error:
            raise self._failure(error) from error
        end = monotonic_ns()
        if len(outcomes) != len(requests):
            name = self._settings.name
            raise InternalError(f"model '{name}' gave {len(outcomes)} answers to {len(requests)} requests")
        for outcome in outcomes:
            if isinstance(outcome, InferResponse):
                outcome.timings = Timings(infer_start=start, infer_end=end)
        return outcomes

    async def stream(self, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
        """Answer in pieces. Raises OIPError, also after some pieces."""
        if self._fast:
            yield self.infer_now(request)
            return
        if self._lists and not getattr(self.model, "decoupled", False):
            yield await self.infer(request)
            return
        start = monotonic_ns()
        try:
            async with aclosing(self._pieces(request)) as answers:
                async for answer in answers:
                    end = monotonic_ns()
                    answer.timings = Timings(infer_start=start, infer_end=end)
                    yield answer
                    start = end
        except OIPError:
            raise
        except Exception as error:
            raise self._failure(error) from error

    async def _pieces(self, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
        if self._lists:
            async with aclosing(self.model.stream_request(request)) as responses:
                async for response in responses:
                    yield response
            return

        async def payloads() -> AsyncIterator[InferenceRequest]:
            yield to_public(request)

        answers = aiter(self.model.predict_stream(payloads()))
        while True:
            token = executing.set(request)  # around each step: in between, this context is somebody else's
            try:
                answer = await anext(answers)
            except StopAsyncIteration:
                return
            finally:
                executing.reset(token)
            yield self._public_answer(answer, request)

    async def call_handler(self, request: HandlerRequest) -> HandlerResponse:
        """Answer a call of one of the model's custom handlers. Raises OIPError."""
        try:
            return await call_handler(self.model, request)
        except OIPError:
            raise
        except Exception as error:
            raise self._failure(error) from error

    def _finish(self, answer: object, request: InferRequest, start: int, end: int) -> InferResponse:
        response = self._public_answer(answer, request)
        response.timings = Timings(infer_start=start, infer_end=end)
        return response

    def _public_answer(self, answer: object, request: InferRequest) -> InferResponse:
        if not isinstance(answer, InferenceResponse):
            raise InternalError(
                f"model '{request.model_name}' returned {type(answer).__name__} where an InferenceResponse was expected"
            )
        try:
            return from_public(answer, request)
        except InvalidArgumentError as error:  # the model's mistake, not the caller's
            raise InternalError(f"model '{request.model_name}' returned an unusable tensor: {error.message}") from error

    def _failure(self, error: Exception) -> OIPError:
        name = self._settings.name
        if isinstance(error, NotImplementedError):
            return UnsupportedError(f"model '{name}' does not do that: {error}")
        status = getattr(error, "status_code", None)
        if isinstance(status, int) and 400 <= status < 600:  # meant for the caller, whichever library's error it is
            return MLServerError(str(getattr(error, "detail", error)), status)
        _log.error("model '%s' raised %s", name, type(error).__name__, exc_info=error)
        return InternalError(f"model '{name}' failed: {type(error).__name__}: {error}")


def _details(model: MLModel) -> dict[str, Any]:
    details: dict[str, Any] = {"handlers": [asdict(route) for route in find_handlers(model)]}
    configuration = getattr(model, "configuration", None)
    if takes_requests(model) and configuration is not None:
        details["configuration"] = configuration
    return details


def _tensor_metadata(tensor: MetadataTensor) -> TensorMetadata:
    parameters = tensor.parameters.model_dump() if tensor.parameters else None
    return TensorMetadata(tensor.name, str(tensor.datatype), tuple(tensor.shape), parameters)
