"""Inference that is traced, in the place of a data plane's own; there only while somebody wants traces."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass
from threading import Lock
from time import monotonic_ns
from typing import Protocol

from ..errors import NotFoundError
from ..protocol import InferRequest, InferResponse, Timings
from ..telemetry.request_trace import BACKEND_OUTPUT, QUEUE_INPUT, RequestTrace
from ..telemetry.trace_file import TraceFile
from .data import DataPlane


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """What is traced. ``levels`` holds TIMESTAMPS, TENSORS, both or neither; ``count`` is -1 for no bound."""

    levels: frozenset[str]
    rate: int
    count: int
    log_frequency: int

    @property
    def wanted(self) -> bool:
        """Whether anything is to be traced at all."""
        return bool(self.levels) and self.rate > 0 and self.count != 0


class Scope:
    """Requests with the same settings: which of them are traced, and where that is written. For any thread."""

    def __init__(self, settings: TraceSettings, file: TraceFile) -> None:
        self.settings = settings
        #: Traces that may still be made; -1: any number.
        self.remaining = settings.count
        self._file = file
        self._seen = 0
        self._place = ""
        self._in_place = 0
        self._lock = Lock()

    def takes(self) -> bool:
        """Whether the request that has come is to be traced."""
        settings = self.settings
        if not settings.wanted:
            return False
        with self._lock:
            self._seen += 1
            if self._seen % settings.rate or self.remaining == 0:
                return False
            if self.remaining > 0:
                self.remaining -= 1
            return True

    def put(self, trace: RequestTrace) -> None:
        """Have a finished trace written."""
        trace.id = self._file.next_id()
        with self._lock:
            frequency = self.settings.log_frequency
            if not frequency:
                self._file.put(trace)
                return
            fresh = self._in_place == 0
            if fresh:
                self._place = self._file.numbered()
            self._in_place = (self._in_place + 1) % frequency
            self._file.put(trace, self._place, fresh=fresh)


_MOST_PASSED_ON = 4096
# What the ways in and out are called, by the wire that a request's headers came over. Reading from the network and
# writing to it lie outside of a data plane: both ends of a way are told as the instant in which it meets the request.
# Tools for traces take the wire from these.
_WIRES = {"HTTP": ("HTTP_RECV", "HTTP_SEND"), "GRPC": ("GRPC_WAITREAD", "GRPC_SEND")}


class Scopes(Protocol):
    """Which settings a model's requests have."""

    def scope(self, model: str) -> Scope:
        """The scope of requests to ``model``."""
        ...


class TraceLayer:
    """Answers as ``plane`` would without it, and notes what it does of the requests that are chosen."""

    def __init__(self, plane: DataPlane, scopes: Scopes) -> None:
        kind = type(plane)
        self._begin = kind.begin.__get__(plane)
        self._infer_here = kind.infer_here.__get__(plane)
        self._stream = kind.stream.__get__(plane)
        self._scopes = scopes
        # What was decided for requests that go on to the loop; they are held, so that no other has their identity.
        self._passed_on: dict[int, tuple[InferRequest, _Noted | None]] = {}

    def begin(self, request: InferRequest) -> InferResponse | Awaitable[InferResponse]:
        """See DataPlane."""
        noted = self._note(request)
        if noted is None:
            plain: InferResponse | Awaitable[InferResponse] = self._begin(request)
            return plain
        try:
            answer = self._begin(request)
        except BaseException as error:
            noted.failed(error)
            raise
        if not isinstance(answer, InferResponse):
            return self._watched(noted, answer)
        noted.answered(answer)
        return answer

    async def _watched(self, noted: _Noted, answer: Awaitable[InferResponse]) -> InferResponse:
        try:
            response = await answer
        except BaseException as error:
            noted.failed(error)
            raise
        noted.answered(response)
        return response

    def infer_here(self, request: InferRequest) -> InferResponse | None:
        """See DataPlane."""
        response: InferResponse | None
        noted = self._note(request)
        try:
            response = self._infer_here(request)
        except BaseException as error:
            if noted is not None:
                noted.failed(error)
            raise
        if response is None:
            if len(self._passed_on) >= _MOST_PASSED_ON:  # callers who left on the way
                self._passed_on.clear()
            self._passed_on[id(request)] = request, noted
        elif noted is not None:
            noted.answered(response)
        return response

    async def stream(self, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
        """See DataPlane."""
        noted = self._note(request)
        async with aclosing(self._stream(request)) as responses:
            if noted is None:
                async for response in responses:
                    yield response
                return
            try:
                async for response in responses:
                    noted.piece(response)
                    yield response
            except BaseException as error:
                noted.failed(error)
                raise
            noted.ended()

    def _note(self, request: InferRequest) -> _Noted | None:
        """The notes of a request that has just come; None where it is not traced."""
        if self._passed_on and (passed := self._passed_on.pop(id(request), None)) is not None:
            return passed[1]
        scope = self._scopes.scope(request.model_name)
        return _Noted(scope, request) if scope.takes() else None


class _Noted:
    """The trace of one request, from its coming to its end."""

    __slots__ = ("_first", "_last", "_scope", "_trace", "_wire")

    def __init__(self, scope: Scope, request: InferRequest) -> None:
        levels = scope.settings.levels
        self._scope = scope
        self._trace = RequestTrace(
            request.model_name,
            request.model_version,
            request.id,
            [] if "TIMESTAMPS" in levels else None,
            [] if "TENSORS" in levels else None,
        )
        now = monotonic_ns()
        self._wire = _WIRES.get(getattr(request.headers, "wire", ""))
        if self._wire is not None:
            self._both(self._wire[0], now)
        self._trace.at("REQUEST_START", now)
        self._trace.saw(QUEUE_INPUT, request.inputs)
        self._first: Timings | None = None
        self._last: Timings | None = None

    def answered(self, response: InferResponse) -> None:
        """The one answer is there."""
        self.piece(response)
        self.ended()

    def piece(self, response: InferResponse) -> None:
        """An answer is there."""
        trace, timings = self._trace, response.timings
        assert timings is not None, "a data plane's answers are stamped"
        self._first, self._last = self._first or timings, timings
        trace.model_version = response.model_version
        trace.saw(BACKEND_OUTPUT, response.outputs)
        trace.at("INFER_RESPONSE_COMPLETE", monotonic_ns())

    def ended(self) -> None:
        """No more answers will come."""
        trace, first, last, now = self._trace, self._first, self._last, monotonic_ns()
        if first is not None and last is not None:
            finished = last.finished or now
            trace.stages(Timings(first.received, first.dispatched, first.infer_start, last.infer_end, finished))
        self._end(now)

    def failed(self, error: BaseException) -> None:
        """The request has failed, or its caller left. What asks for no model of ours is no trace of one."""
        if not isinstance(error, NotFoundError):
            self._end(monotonic_ns())

    def _end(self, now: int) -> None:
        self._trace.at("REQUEST_END", now)
        if self._wire is not None:
            self._both(self._wire[1], now)
        self._scope.put(self._trace)

    def _both(self, name: str, now: int) -> None:
        self._trace.at(f"{name}_START", now)
        self._trace.at(f"{name}_END", now)
