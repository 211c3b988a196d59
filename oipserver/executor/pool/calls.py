"""Calls on their way through the pool, as the server holds them; knows no worker and no socket."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import OIPError
from ...protocol import InferRequest, InferResponse
from ...runtime.handlers import HandlerRequest, HandlerResponse
from ...tensor import Tensor
from . import batches, messages
from .frames import FrameError, Kind
from .memory import Half
from .messages import Block, Hold

if TYPE_CHECKING:
    from .model import PoolModel
    from .remote import RemoteWorker

STREAM_CREDIT = 8  # parts a worker may be ahead of the reader


class Call(ABC):
    """One call of one model. It is answered once, however many workers it takes."""

    __slots__ = ("abandoned", "block", "deaths", "id", "model", "worker")

    kind: ClassVar[Kind]

    def __init__(self, id_: int, model: PoolModel) -> None:
        self.id = id_
        self.model = model
        self.worker: RemoteWorker | None = None  # that has it now
        self.block: int | None = None  # where its data lies in the memory of the worker that has it
        self.deaths = 0  # workers that died while they executed it
        self.abandoned = False  # nobody waits for it any more

    @abstractmethod
    def tensors(self) -> Sequence[Tensor]:
        """The data to hand over."""

    @abstractmethod
    def meta(self, block: Block) -> object:
        """The metadata to hand over."""

    @abstractmethod
    def answer(self, kind: int, meta: Any, inline: memoryview, half: Half, hold: Hold) -> bool:
        """Take a frame of the answer; True where it was the last. Raises FrameError where it makes no sense."""

    def deliver(self) -> None:  # noqa: B027  # most have told all they had to in ``answer``
        """Hand the answer over, once the last frame is dealt with: it may lead to the next call. Raises nothing."""

    @abstractmethod
    def fail(self, error: OIPError) -> None:
        """End the call with ``error``."""

    @property
    def may_run_again(self) -> bool:
        """Whether executing it a second time would show to nobody."""
        return not self.model.stateful

    @property
    def nested(self) -> bool:
        """Whether a model's code waits for it, which may hold the worker that it needs."""
        return False


class InferCall(Call):
    """A request with one answer."""

    __slots__ = ("_response", "request", "tell")

    kind = Kind.INFER

    def __init__(self, id_: int, model: PoolModel, request: InferRequest) -> None:
        super().__init__(id_, model)
        self.request = request
        #: Told the answer or the error, after this was submitted.
        self.tell: Callable[[InferResponse | OIPError], None] | None = None
        self._response: InferResponse | None = None

    @property
    def nested(self) -> bool:
        return bool(self.request.path)

    def tensors(self) -> Sequence[Tensor]:
        return self.request.inputs

    def meta(self, block: Block) -> object:
        return (self.model.key, messages.write_request(self.request, block))

    def answer(self, kind: int, meta: Any, inline: memoryview, half: Half, hold: Hold) -> bool:
        if kind != Kind.RESULT:
            raise FrameError(f"a frame of kind {kind} in answer to a request")
        self._response, cost = messages.read_response(meta, inline, half, hold, self.request)
        self.model.observe(cost)
        return True

    def deliver(self) -> None:
        assert self._response is not None, "answer() comes first"
        self._tell(self._response)

    def fail(self, error: OIPError) -> None:
        # Later: whoever is told may submit the next call, and workers that just died are not to be dealt with twice.
        asyncio.get_running_loop().call_soon(self._tell, error)

    def _tell(self, outcome: InferResponse | OIPError) -> None:
        tell, self.tell = self.tell, None  # an error knows the frames of whoever waits: no cycles
        if tell is not None and not self.abandoned:
            tell(outcome)


class InferAllCall(Call):
    """Several requests for a model that takes them at once, with one outcome each."""

    __slots__ = ("future", "requests")

    kind = Kind.INFER_ALL

    def __init__(
        self,
        id_: int,
        model: PoolModel,
        requests: Sequence[InferRequest],
        future: asyncio.Future[list[InferResponse | OIPError]],
    ) -> None:
        super().__init__(id_, model)
        self.requests = requests
        self.future = future

    @property
    def nested(self) -> bool:
        return any(request.path for request in self.requests)

    def tensors(self) -> Sequence[Tensor]:
        return batches.tensors_of(self.requests)

    def meta(self, block: Block) -> object:
        return (self.model.key, batches.write_requests(self.requests, block))

    def answer(self, kind: int, meta: Any, inline: memoryview, half: Half, hold: Hold) -> bool:
        if kind != Kind.RESULT:
            raise FrameError(f"a frame of kind {kind} in answer to requests")
        outcomes, cost = batches.read_outcomes(meta, inline, half, hold, self.requests)
        self.model.observe(cost)
        if not self.future.done():
            self.future.set_result(outcomes)
        return True

    def fail(self, error: OIPError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class HandlerCall(Call):
    """A call of a custom handler, which may do anything: it is never executed twice."""

    __slots__ = ("future", "request")

    kind = Kind.HANDLER

    def __init__(
        self, id_: int, model: PoolModel, request: HandlerRequest, future: asyncio.Future[HandlerResponse]
    ) -> None:
        super().__init__(id_, model)
        self.request = request
        self.future = future

    @property
    def may_run_again(self) -> bool:
        return False

    def tensors(self) -> Sequence[Tensor]:
        return [messages.body_tensor(self.request.body)]

    def meta(self, block: Block) -> object:
        return (self.model.key, messages.write_handler_request(self.request, block))

    def answer(self, kind: int, meta: Any, inline: memoryview, half: Half, hold: Hold) -> bool:
        if kind != Kind.RESULT:
            raise FrameError(f"a frame of kind {kind} in answer to a handler's call")
        response = messages.read_handler_response(meta, inline, half, hold)
        if not self.future.done():
            self.future.set_result(response)
        return True

    def fail(self, error: OIPError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class StreamCall(Call):
    """A request answered in parts, at most STREAM_CREDIT of which wait for the reader."""

    __slots__ = ("_items", "_wake", "answered", "request")

    kind = Kind.STREAM

    def __init__(self, id_: int, model: PoolModel, request: InferRequest) -> None:
        super().__init__(id_, model)
        self.request = request
        self.answered = False
        self._items: deque[InferResponse | OIPError | None] = deque()
        self._wake: asyncio.Future[None] | None = None

    @property
    def may_run_again(self) -> bool:
        return not self.answered and super().may_run_again

    @property
    def nested(self) -> bool:
        return bool(self.request.path)

    def tensors(self) -> Sequence[Tensor]:
        return self.request.inputs

    def meta(self, block: Block) -> object:
        return (self.model.key, messages.write_request(self.request, block), STREAM_CREDIT)

    def answer(self, kind: int, meta: Any, inline: memoryview, half: Half, hold: Hold) -> bool:
        if kind == Kind.END:
            self._put(None)
            return True
        if kind != Kind.PART:
            raise FrameError(f"a frame of kind {kind} in answer to a stream")
        if len(self._items) >= STREAM_CREDIT:
            raise FrameError(f"more than {STREAM_CREDIT} parts that were not asked for")
        *told, final = meta
        response, _ = messages.read_response(told, inline, half, hold, self.request)
        response.final = bool(final)
        self.answered = True
        self._put(response)
        return False

    def fail(self, error: OIPError) -> None:
        self._put(error)

    def _put(self, item: InferResponse | OIPError | None) -> None:
        self._items.append(item)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def next(self) -> InferResponse | None:
        """The next part, None at the end. Raises OIPError."""
        while not self._items:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        item = self._items.popleft()
        if isinstance(item, OIPError):
            raise item
        return item
