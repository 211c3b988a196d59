"""A model's own code: made, configured, initialised, executed and finalised, all in one thread; knows no server."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from threading import Thread
from typing import Any

from oipserver import ModelSettings, OIPError
from oipserver.errors import InternalError, ModelLoadError
from oipserver.protocol import InferRequest, InferResponse
from oipserver.runtime.user_code import forget

from .calling import Execution, enter
from .configuration import Configuration, ModelConfig, configuration_of, is_decoupled
from .requests import InferenceRequest
from .responses import InferenceResponse
from .source import find_source, import_class
from .tickets import Ticket

_log = logging.getLogger(__name__)

Outcome = InferResponse | OIPError | None


class ModelCode:
    """One instance of a ``TritonPythonModel``. Every method is called in the same thread."""

    def __init__(self, settings: ModelSettings) -> None:
        """Raises ModelLoadError for a configuration that cannot be one."""
        self._settings = settings
        self._name = settings.name
        self.configuration: Configuration = configuration_of(settings)
        self.decoupled = False
        self._outputs: list[str] = []
        self._kind: type | None = None
        self._instance: Any = None
        self._runner: asyncio.Runner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- life ----------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Import, configure, make and initialise it. Raises ModelLoadError saying which step failed and why."""
        path = find_source(self._settings, str(self.configuration.get("default_model_filename") or ""))
        self._kind = import_class(path, self._name)
        self._complete(self._kind)
        self.decoupled = is_decoupled(self.configuration)
        self._outputs = [tensor["name"] for tensor in self.configuration["output"]]
        try:
            self._instance = self._kind()
            if initialize := getattr(self._instance, "initialize", None):
                initialize(self._arguments(path))
        except Exception as error:
            raise self._load_error("initialize", error) from error

    def _complete(self, kind: Any) -> None:
        complete = getattr(kind, "auto_complete_config", None)
        if complete is None:
            return
        given = ModelConfig(json.dumps(self.configuration))
        try:
            completed = complete(given)
        except Exception as error:
            raise self._load_error("auto_complete_config", error) from error
        if not isinstance(completed, ModelConfig):
            raise ModelLoadError(
                f"model '{self._name}': auto_complete_config must return the ModelConfig it is given, "
                f"not {type(completed).__name__}"
            )
        self.configuration = completed.as_dict()

    def _load_error(self, step: str, error: Exception) -> ModelLoadError:
        _log.exception("model '%s': %s failed", self._name, step)
        return ModelLoadError(f"model '{self._name}': {step} failed: {type(error).__name__}: {error}")

    def _arguments(self, path: Path) -> dict[str, str]:
        groups = self.configuration.get("instance_group") or [{}]
        gpus = groups[0].get("gpus") or ()
        kind = str(groups[0].get("kind") or "KIND_CPU").removeprefix("KIND_")
        return {
            "model_config": json.dumps(self.configuration),
            "model_instance_kind": ("GPU" if gpus else "CPU") if kind == "AUTO" else kind,
            "model_instance_name": f"{self._name}_0_0",
            "model_instance_device_id": str(gpus[0]) if gpus else "0",
            "model_repository": str(self._settings.folder.resolve()),
            "model_version": self._settings.version or (path.parent.name if path.parent.name.isdigit() else "1"),
            "model_name": self._name,
        }

    def unload(self) -> None:
        """Finalise it and let go of its code. What it raises is logged: the model is gone either way."""
        try:
            if finalize := getattr(self._instance, "finalize", None):
                finalize()
        except Exception:
            _log.exception("model '%s' failed to finalize", self._name)
        if self._runner is not None:
            self._runner.close()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
        if self._kind is not None:
            forget(self._kind.__module__)
        self._instance = self._kind = None

    # -- requests that have one response -------------------------------------------------------------------------

    def execute(self, execution: Execution, tickets: Sequence[Ticket]) -> list[Outcome]:
        """The outcomes of the requests, in order; None for one that is sent rather than returned, by its ticket.

        Raises OIPError where all of them fail.
        """
        enter(execution)
        requests = [
            InferenceRequest.received(request, ticket, self._outputs)
            for request, ticket in zip(execution.requests, tickets, strict=True)
        ]
        responses = self._call(requests)
        while again := [request for request in requests if request.take_reschedule()]:
            self._call(again)
        return self._outcomes(responses, execution.requests, tickets)

    def _call(self, requests: Sequence[InferenceRequest]) -> Any:
        try:
            answer = self._instance.execute(requests)
            if inspect.iscoroutine(answer):
                self._runner = self._runner or asyncio.Runner()
                answer = self._runner.run(answer, context=copy_context())
            return answer
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> OIPError:
        if isinstance(error, OIPError):
            return error
        _log.error("model '%s' raised %s", self._name, type(error).__name__, exc_info=error)
        return self._failed(f"{type(error).__name__}: {error}")

    def _failed(self, message: str) -> InternalError:
        return InternalError(f"Failed to process the request(s) for model '{self._name}', message: {message}")

    def _outcomes(self, responses: Any, requests: Sequence[InferRequest], tickets: Sequence[Ticket]) -> list[Outcome]:
        if responses is None:
            responses = [None] * len(requests)
        if not isinstance(responses, (list, tuple)):
            raise self._failed(f"execute must return a list of InferenceResponse, not {type(responses).__name__}")
        if len(responses) != len(requests):
            raise self._failed(
                "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
                f"InferenceRequest(s) size is:{len(requests)}, and InferenceResponse(s) size is:{len(responses)}"
            )
        return [
            self._outcome(response, request, ticket)
            for response, request, ticket in zip(responses, requests, tickets, strict=True)
        ]

    def _outcome(self, response: Any, request: InferRequest, ticket: Ticket) -> Outcome:
        if response is None:
            return None
        ticket.settle()
        if not isinstance(response, InferenceResponse):
            return self._failed(f"expected an InferenceResponse for each request, got {type(response).__name__}")
        try:
            return response.served(request)
        except OIPError as error:
            return error

    # -- requests that have any number of responses --------------------------------------------------------------

    def begin(self, execution: Execution, ticket: Ticket) -> None:
        """Have a decoupled model begin with one request; its answers come by the ticket, as does what it raises."""
        enter(execution)
        try:
            request = InferenceRequest.received(execution.requests[0], ticket, self._outputs)
            answer = self._instance.execute([request])
            if inspect.iscoroutine(answer):
                asyncio.run_coroutine_threadsafe(self._finish(answer, request, ticket), self._background())
            else:
                self._began(answer, request, ticket)
        except Exception as error:
            ticket.put(self._failure(error))

    async def _finish(self, coroutine: Any, request: InferenceRequest, ticket: Ticket) -> None:
        try:
            self._began(await coroutine, request, ticket)
        except Exception as error:
            ticket.put(self._failure(error))

    def _began(self, answer: Any, request: InferenceRequest, ticket: Ticket) -> None:
        if answer is not None:
            raise self._failed(
                f"Python model '{self._name}' is using the decoupled mode and the execute function must return None"
            )
        while request.take_reschedule() and not ticket.closed:
            self._call([request])

    def _background(self) -> asyncio.AbstractEventLoop:
        """A loop of the model's own, in a thread of its own, for requests that it works on side by side."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            Thread(target=_run, args=(self._loop,), name=f"model-{self._name}-loop", daemon=True).start()
        return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    with suppress(RuntimeError):
        loop.run_forever()
    loop.close()
