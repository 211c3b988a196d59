"""Requests that a model of Triton's Python backend makes to other models, from whichever thread it makes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Iterator, Sequence
from concurrent.futures import CancelledError as FutureCancelledError
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from threading import Lock, get_ident
from typing import Any, TypeVar

from oipserver import OIPError
from oipserver.peers import Caller, Peers, below
from oipserver.protocol import InferRequest, InferResponse

from .failures import TritonModelException, to_model
from .requests import InferenceRequest
from .responses import InferenceResponse

T = TypeVar("T")


class Place:
    """A loaded model: the others as it finds them, and the loop on which calls of them are made."""

    def __init__(self, peers: Peers, loop: asyncio.AbstractEventLoop) -> None:
        self.name = peers.owner
        self._peers = peers
        self.loop = loop
        self._loop_thread = get_ident()

    @property
    def caller(self) -> Caller:
        """Who passes calls on. Raises UnsupportedError where the model runs outside of a server."""
        return self._peers.caller

    def run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Have ``work`` done on the loop. Raises TritonModelException where waiting for it would stop the loop."""
        if get_ident() == self._loop_thread:
            work.close()
            raise TritonModelException(f"model '{self.name}' must not wait for another model in the server's own loop")
        return asyncio.run_coroutine_threadsafe(work, self.loop)


@dataclass
class Execution:
    """What a model executes now: its requests, and the calls it makes for them, which end when they are cancelled."""

    place: Place
    requests: Sequence[InferRequest]
    calls: set[Future[Any]] = field(default_factory=set)
    cancelled: bool = False
    _lock: Lock = field(default_factory=Lock)

    def parent(self) -> InferRequest:
        """One request with what calls inherit: the latest deadline, all models on the way, the first one's trace."""
        first, *others = self.requests
        if not others:
            return first
        deadlines = [request.deadline for request in self.requests]
        known = [deadline for deadline in deadlines if deadline is not None]
        path = dict.fromkeys(name for request in self.requests for name in request.path)
        return replace(
            first, inputs=[], deadline=max(known) if len(known) == len(deadlines) else None, path=tuple(path)
        )

    def add(self, call: Future[Any]) -> None:
        """Watch a call until it is done."""
        with self._lock:
            self.calls.add(call)
        call.add_done_callback(self._remove)
        if self.cancelled:
            call.cancel()

    def _remove(self, call: Future[Any]) -> None:
        with self._lock:
            self.calls.discard(call)

    def cancel(self) -> None:
        """Nobody waits for what is executed: nor does anybody for what it asks of others."""
        self.cancelled = True
        with self._lock:
            calls = list(self.calls)
        for call in calls:
            call.cancel()


_executing: ContextVar[Execution | None] = ContextVar("oipserver_python_executing", default=None)
_places: dict[int, Place] = {}


def enter(execution: Execution) -> None:
    """Say that this context, until it ends, is where a model executes."""
    _executing.set(execution)


def arrive(place: Place) -> None:
    """Have calls from threads that models start themselves made in the name of the one that is loaded."""
    _places[id(place)] = place


def leave(place: Place) -> None:
    """The model is being unloaded."""
    _places.pop(id(place), None)


def place() -> Place:
    """The model that runs here. Raises TritonModelException where that cannot be told."""
    execution = _executing.get()
    if execution is not None:
        return execution.place
    if len(_places) != 1:
        raise TritonModelException(
            "no model executes in this thread: call other models from execute(), or from threads started with "
            "contextvars.copy_context().run"
        )
    return next(iter(_places.values()))


def _outgoing(request: InferenceRequest) -> InferRequest:
    execution = _executing.get()
    trace = request.trace().request
    parent = trace or (execution.parent() if execution is not None else None)
    return below(parent, replace(request.served, parameters=dict(request.served.parameters)), place().name)


def _submit(work: Coroutine[Any, Any, T]) -> Future[T]:
    here, execution = place(), _executing.get()
    future = here.run(work)
    if execution is not None:
        execution.add(future)
    return future


def call(request: InferenceRequest, decoupled: bool) -> InferenceResponse | ResponseIterator:
    """Make ``request`` and wait for its response; with ``decoupled`` an iterator waits for each of them."""
    served = _outgoing(request)
    if decoupled:
        return ResponseIterator(served)
    return wait(_submit(_answered(place().caller, served)))


def call_async(request: InferenceRequest, decoupled: bool) -> Awaitable[InferenceResponse | ResponseIterator]:
    """Make ``request`` at once; its response is to be awaited."""
    served = _outgoing(request)
    if decoupled:
        iterator: Future[InferenceResponse | ResponseIterator] = Future()
        iterator.set_result(ResponseIterator(served))
        return asyncio.wrap_future(iterator)
    return asyncio.wrap_future(_submit(_answered(place().caller, served)))


def control(work: Coroutine[Any, Any, T]) -> T:
    """Do ``work`` on the server's loop and wait for it. Raises TritonModelException with the server's reason."""
    try:
        return wait(_submit(work))
    except OIPError as error:
        raise TritonModelException(error.message) from None


def wait(future: Future[T]) -> T:
    """What ``future`` comes to. Raises TritonModelException where the model's own caller left."""
    try:
        return future.result()
    except FutureCancelledError:
        raise TritonModelException("the request is cancelled, and with it what it asks of other models") from None


async def _answered(caller: Caller, request: InferRequest) -> InferenceResponse:
    try:
        return InferenceResponse.of(await caller.infer(request))
    except OIPError as error:
        return InferenceResponse(error=to_model(error))


class ResponseIterator:
    """The responses of another model, one after the other, each waited for. A failure is the last of them."""

    def __init__(self, request: InferRequest) -> None:
        self._responses: AsyncGenerator[InferResponse, None] | None = place().caller.stream(request)

    def __iter__(self) -> Iterator[InferenceResponse]:
        return self

    def __next__(self) -> InferenceResponse:
        responses = self._responses
        if responses is None:
            raise StopIteration
        response = wait(_submit(self._next(responses)))
        if response is None:
            self._responses = None
            raise StopIteration
        return response

    async def _next(self, responses: AsyncGenerator[InferResponse, None]) -> InferenceResponse | None:
        try:
            response = await anext(responses, None)
        except OIPError as error:
            self._responses = None
            return InferenceResponse(error=to_model(error))
        except asyncio.CancelledError:
            self._responses = None
            raise
        return None if response is None else InferenceResponse.of(response)

    def cancel(self) -> None:
        """No more responses are wanted."""
        responses, self._responses = self._responses, None
        if responses is not None:
            wait(_submit(_closed(responses)))


async def _closed(responses: AsyncGenerator[InferResponse, None]) -> None:
    await responses.aclose()
