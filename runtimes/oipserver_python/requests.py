"""Requests as a model of Triton's Python backend has them, and what sends their answers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any
from weakref import finalize

from oipserver import OIPError
from oipserver.protocol import InferRequest, RequestedOutput

from .failures import TritonModelException
from .responses import InferenceResponse, checked
from .tensors import Tensor, text
from .tickets import Ticket

if TYPE_CHECKING:
    from .calling import ResponseIterator

TRITONSERVER_REQUEST_FLAG_SEQUENCE_START = 1
TRITONSERVER_REQUEST_FLAG_SEQUENCE_END = 2
TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1
TRITONSERVER_REQUEST_RELEASE_ALL = 1
TRITONSERVER_REQUEST_RELEASE_RESCHEDULE = 2

# Told in other ways than as parameters.
_TOLD_OTHERWISE = frozenset(
    {"sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "binary_data_output"}
)
_TRACE = ("traceparent", "tracestate", "baggage")


class MemoryType(IntEnum):
    """Where an answer of another model is wanted; here it is in main memory whatever is asked for."""

    TRITONSERVER_MEMORY_CPU = 0
    TRITONSERVER_MEMORY_GPU = 1


class PreferredMemory:
    """Where an answer of another model is wanted."""

    def __init__(self, preferred_memory_type: MemoryType, preferred_device_id: int = 0) -> None:
        self.preferred_memory_type = preferred_memory_type
        self.preferred_device_id = preferred_device_id


class InferenceTrace:
    """The trace of a request, to be handed on with requests to other models; with it go their deadline and path."""

    def __init__(self, request: InferRequest | None = None) -> None:
        self.request = request

    def get_context(self) -> str | None:
        """What OpenTelemetry needs to know, as JSON; None where the request is not traced."""
        headers = (self.request.headers if self.request else None) or {}
        found = {key: headers[key] for key in _TRACE if key in headers}
        return json.dumps(found) if found else None


class InferenceRequest:
    """A request: one that the model is to answer, or one that it makes to another model."""

    def __init__(
        self,
        request_id: str | bytes = "",
        correlation_id: int | str = 0,
        inputs: Sequence[Tensor] = (),
        requested_output_names: Sequence[str | bytes] = (),
        model_name: str | bytes = "",
        model_version: int = -1,
        flags: int = 0,
        timeout: int = 0,
        preferred_memory: PreferredMemory | None = None,
        trace: InferenceTrace | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """``timeout`` is in microseconds. Raises TritonModelException for what cannot be a request."""
        if not model_name:
            raise TritonModelException("a request to another model must say its model_name")
        if not isinstance(correlation_id, (int, str)):
            raise TritonModelException("Correlation ID must be integer or string")
        for tensor in inputs:
            if not isinstance(tensor, Tensor):
                raise TritonModelException(f"an input must be a Tensor of this module, not {type(tensor).__name__}")
        own = checked(parameters)
        if correlation_id:
            own |= {"sequence_id": correlation_id, "sequence_start": bool(flags & 1), "sequence_end": bool(flags & 2)}
        if timeout:
            own["timeout"] = timeout
        version = "" if model_version in (-1, None) else str(model_version)
        self._served = InferRequest(
            text(model_name, "model_name"),
            [tensor.served for tensor in inputs],
            version,
            text(request_id, "request_id"),
            [RequestedOutput(text(name, "the name of an output")) for name in requested_output_names],
            own,
        )
        self._inputs = list(inputs)
        self._trace = trace
        self._ticket: Ticket | None = None
        self._release_flags = TRITONSERVER_REQUEST_RELEASE_ALL
        self._end: _End | None = None
        self._all_outputs: Sequence[str] = ()

    @classmethod
    def received(cls, request: InferRequest, ticket: Ticket, outputs: Sequence[str]) -> InferenceRequest:
        """A request that came to a model with ``outputs``; its answer may go by ``ticket``."""
        made = cls.__new__(cls)
        made._served, made._ticket, made._trace = request, ticket, None
        made._inputs = [Tensor.of(tensor) for tensor in request.inputs]
        made._release_flags = TRITONSERVER_REQUEST_RELEASE_ALL
        made._end = _End(ticket)
        made._all_outputs = outputs
        return made

    @property
    def served(self) -> InferRequest:
        """The server's form of it."""
        return self._served

    def inputs(self) -> list[Tensor]:
        """Its tensors."""
        return self._inputs

    def request_id(self) -> str:
        """Its caller's name for it."""
        return self._served.id

    def correlation_id(self) -> int | str:
        """The sequence it belongs to; 0 where it belongs to none."""
        given = self._served.parameters.get("sequence_id", 0)
        return given if isinstance(given, str) else int(given)

    def flags(self) -> int:
        """Whether it starts or ends a sequence."""
        given = self._served.parameters
        return int(bool(given.get("sequence_start"))) + 2 * int(bool(given.get("sequence_end")))

    def set_flags(self, flags: int) -> None:
        """Say whether it starts or ends a sequence."""
        self._served.parameters["sequence_start"] = bool(flags & TRITONSERVER_REQUEST_FLAG_SEQUENCE_START)
        self._served.parameters["sequence_end"] = bool(flags & TRITONSERVER_REQUEST_FLAG_SEQUENCE_END)

    def timeout(self) -> int:
        """How long it may wait, in microseconds; 0 for as long as it takes."""
        return int(self._served.parameters.get("timeout", 0))

    def parameters(self) -> str:
        """Its parameters as JSON."""
        return json.dumps({key: value for key, value in self._served.parameters.items() if key not in _TOLD_OTHERWISE})

    def requested_output_names(self) -> list[str]:
        """The outputs that are asked for: all of the model's where its caller named none."""
        return [output.name for output in self._served.outputs] or list(self._all_outputs)

    def model_name(self) -> str:
        """The model it is for."""
        return self._served.model_name

    def trace(self) -> InferenceTrace:
        """Its trace, for requests to other models."""
        return self._trace or InferenceTrace(None if self._ticket is None else self._served)

    def preferred_memory(self) -> PreferredMemory:
        """Where its answer is wanted: in main memory."""
        return PreferredMemory(MemoryType.TRITONSERVER_MEMORY_CPU)

    # -- of a request that came to the model ---------------------------------------------------------------------

    def is_cancelled(self) -> bool:
        """Whether nobody waits for an answer any more."""
        return self._ticket is not None and self._ticket.cancelled

    def get_response_sender(self) -> InferenceResponseSender:
        """What sends answers to it, from any thread, also after ``execute`` has returned."""
        if self._ticket is None or self._end is None:
            raise TritonModelException("only a request that came to the model has a response sender")
        return InferenceResponseSender(self._served, self._ticket, self._end)

    def set_release_flags(self, flags: int) -> None:
        """Say what becomes of it when ``execute`` returns: with ``..._RELEASE_RESCHEDULE``, it is executed again."""
        if flags not in (TRITONSERVER_REQUEST_RELEASE_ALL, TRITONSERVER_REQUEST_RELEASE_RESCHEDULE):
            raise TritonModelException(f"unknown release flags {flags!r}")
        self._release_flags = flags

    def take_reschedule(self) -> bool:
        """Whether it is to be executed again; asked once."""
        flags, self._release_flags = self._release_flags, TRITONSERVER_REQUEST_RELEASE_ALL
        return flags == TRITONSERVER_REQUEST_RELEASE_RESCHEDULE

    # -- of a request that the model makes -----------------------------------------------------------------------

    def exec(self, decoupled: bool = False) -> InferenceResponse | ResponseIterator:
        """Have the other model answer, and wait for it: one response, or with ``decoupled`` an iterator over all.

        A failure is in the response. Raises TritonModelException where no call can be made.
        """
        from .calling import call

        return call(self, decoupled)

    def async_exec(self, decoupled: bool = False) -> Awaitable[InferenceResponse | ResponseIterator]:
        """Like ``exec``, to be awaited."""
        from .calling import call_async

        return call_async(self, decoupled)


class _End:
    """Held by everything that can still answer a request: when it goes, no answer will come any more."""

    def __init__(self, ticket: Ticket) -> None:
        finalize(self, ticket.lost).atexit = False


class InferenceResponseSender:
    """Sends answers to one request, from any thread."""

    def __init__(self, request: InferRequest, ticket: Ticket, end: _End) -> None:
        self._request = InferRequest(request.model_name, [], request.model_version, request.id, request.outputs)
        self._ticket = ticket
        self._end = end

    def send(self, response: InferenceResponse | None = None, flags: int = 0) -> None:
        """Send ``response``, or nothing but the end; with ``TRITONSERVER_RESPONSE_COMPLETE_FINAL`` it is the last.

        An error ends the answers too. Raises TritonModelException where the end was sent before.
        """
        if flags not in (0, TRITONSERVER_RESPONSE_COMPLETE_FINAL):
            raise TritonModelException(f"Unable to send response. Unsupported flag value {flags!r}")
        if response is None and not flags:
            raise TritonModelException(
                "Inference Response object must be provided when the response flags is set to zero."
            )
        if response is not None and not isinstance(response, InferenceResponse):
            raise TritonModelException(f"a response must be an InferenceResponse, not {type(response).__name__}")
        if not self._ticket.put(self._outcome(response, bool(flags)), last=bool(flags)):
            raise TritonModelException("Unable to send response. Response sender has been closed.")

    def _outcome(self, response: InferenceResponse | None, last: bool) -> Any:
        if response is None:
            return None
        try:
            served = response.served(self._request)
        except OIPError as error:
            return error
        served.final = last
        return served

    def is_cancelled(self) -> bool:
        """Whether nobody waits for an answer any more."""
        return self._ticket.cancelled
