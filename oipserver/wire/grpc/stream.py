"""One ModelStreamInfer call: many requests in flight, their answers in order; knows no gRPC type."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import aclosing, suppress
from functools import partial
from threading import Semaphore

from ...errors import InternalError, NotFoundError, OIPError
from ...plane import DataPlane
from ...protocol import InferRequest, InferResponse
from .convert import WANTS_EMPTY_FINAL, Parse, parse_infer, request_id
from .dialects import Answer, Dialect
from .handlers import Call
from .outbox import Outbox
from .versions import about_version

_log = logging.getLogger(__name__)

#: Requests of one stream that may be under way; the client's further ones wait in its connection.
MAX_IN_FLIGHT = 256
#: Answers that may lie here while the client does not read; the models of streams wait then.
MAX_UNSENT = 16
_ENDS_ON_ERROR = "triton_grpc_error"


class StreamSession:
    """Requests come in by ``submit`` in one thread, answers are iterated in another, the work is on the event loop.

    Models that answer once are answered in the order of their requests. Models that answer in pieces are not held up
    by requests before them, nor do they hold up others.
    """

    def __init__(
        self,
        data: DataPlane,
        call: Call,
        loop: asyncio.AbstractEventLoop,
        dialect: Dialect,
        parse: Parse = parse_infer,
    ) -> None:
        self._data = data
        self._parse = parse
        self._call = call
        self._loop = loop
        self._dialect = dialect
        #: Whether the client wants the error of a model as the status that ends the stream.
        self._ends_on_error = call.headers.get(_ENDS_ON_ERROR) == "true"
        self._outbox: Outbox[Answer] = Outbox(MAX_UNSENT)
        self._permits = Semaphore(MAX_IN_FLIGHT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: asyncio.Future[None] | None = None
        self._half_closed = False
        self._closed = False
        self.cancelled = False
        self.draining = False

    # -- from the call's threads ---------------------------------------------------------------------------------

    def submit(self, data: bytes) -> None:
        """Take one serialized ModelInferRequest; waits while too many are under way."""
        self._permits.acquire()
        work: InferRequest | Answer
        try:
            work = self._parse(data, self._call.headers, self._call.deadline)
        except Exception as error:
            work = _failed(error, request_id(data), refused=True)
        self._post(partial(self._begin, work))

    def half_close(self) -> None:
        """The client sends no more: end when what is under way is answered."""
        self._post(self._end_when_idle)

    def cancel(self) -> None:
        """The call is over: give up what is under way."""
        self._post(self._cancel)

    def _post(self, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed, and the call cut off with it
            self._loop.call_soon_threadsafe(callback)

    def __iter__(self) -> Iterator[bytes]:
        """The serialized answers. Raises OIPError where the client wants an error to end the stream, or the dialect can
        tell it in no other way."""
        headers = None
        for answer in self._outbox:
            if answer.error is not None and self._ends_on_error and not answer.refused:
                raise answer.error
            yield self._dialect(answer)
            headers = answer.response.headers or headers
        if headers:  # behind the stream, those of the latest answer that has any
            self._call.send_headers(headers)

    # -- on the loop ---------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """The server stops: answer what is under way and end."""
        self.draining = True
        self._end_when_idle()

    def _end_when_idle(self) -> None:
        self._half_closed = True
        if not self._tasks and not self._closed:
            self._closed = True
            self._outbox.close()

    def _cancel(self) -> None:
        self.cancelled = True
        for task in self._tasks:
            task.cancel()
        self._end_when_idle()

    def _begin(self, work: InferRequest | Answer) -> None:
        if self._half_closed:
            self._permits.release()
            return
        task = self._loop.create_task(self._answer(work))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._permits.release()
        if self._half_closed:
            self._end_when_idle()

    async def _answer(self, work: InferRequest | Answer) -> None:
        if isinstance(work, InferRequest) and self._streams(work):
            await self._answer_in_pieces(work)
            return
        previous, self._last = self._last, self._loop.create_future()
        mine = self._last
        try:
            answer = await self._infer(work) if isinstance(work, InferRequest) else work
            if previous is not None:
                await previous
            await self._outbox.put(answer)
        finally:
            mine.set_result(None)

    def _streams(self, request: InferRequest) -> bool:
        try:
            return self._data.streams(request.model_name, request.model_version)
        except OIPError:
            return False  # inferring fails in the same way, and is answered in order

    async def _infer(self, request: InferRequest) -> Answer:
        request.parameters.pop(WANTS_EMPTY_FINAL, None)
        if refusal := self._refusal(request):
            return refusal
        try:
            plane = self._data if request.regions is None else self._data.over_regions
            response = await plane.infer(request)
        except Exception as error:
            return self._failure(error, request)
        return Answer(response, final=True)

    async def _answer_in_pieces(self, request: InferRequest) -> None:
        # Most models know which piece was the last only behind it, so no piece is held back to learn whether it is:
        # their pieces are not marked, and whoever needs the end asks for an empty response. Others mark their last one.
        wants_end = request.parameters.pop(WANTS_EMPTY_FINAL, False)
        version, ended = request.model_version, False
        if refusal := self._refusal(request):
            await self._outbox.put(refusal)
            return
        try:
            plane = self._data if request.regions is None else self._data.over_regions
            async with aclosing(plane.stream(request)) as responses:
                async for response in responses:
                    version, ended = response.model_version, response.final
                    await self._outbox.put(Answer(response, final=ended))
        except Exception as error:
            await self._outbox.put(self._failure(error, request))
            return
        if wants_end and not ended:
            end = InferResponse(request.model_name, [], version, request.id)
            await self._outbox.put(Answer(end, final=True))

    def _refusal(self, request: InferRequest) -> Answer | None:
        """The answer to a request that no model will see, where such errors are to be told from those of models."""
        if self._ends_on_error:
            try:
                self._data.check(request)
            except OIPError as error:
                refusal = self._failure(error, request)
                refusal.refused = True
                return refusal
        return None

    def _failure(self, error: Exception, request: InferRequest) -> Answer:
        if isinstance(error, NotFoundError):
            error = about_version(error, self._data, request.model_name, request.model_version)
        return _failed(error, request.id)


def _failed(error: Exception, request: str, *, refused: bool = False) -> Answer:
    if not isinstance(error, OIPError):
        _log.error("a streamed request failed unexpectedly", exc_info=error)
        error = InternalError("internal server error")
    return Answer(InferResponse("", [], id=request), final=True, error=error, refused=refused)
