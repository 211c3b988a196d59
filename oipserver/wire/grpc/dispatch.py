"""Handlers as grpcio's method handlers: threads, errors, status codes and the observer; knows no message."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from time import monotonic
from typing import NoReturn, Protocol
from weakref import WeakSet

import grpc

from ...errors import Code, InternalError, OIPError, UnavailableError
from .call import GrpcCall
from .errors import details, retry_metadata, status_of, wording
from .stream import StreamSession

_log = logging.getLogger(__name__)

_STOPPING = UnavailableError("the server is stopping")


class GrpcObserver(Protocol):
    """Is told of calls, from any thread. Methods are full names: ``/package.Service/Method``."""

    def started(self, method: str) -> None:
        """A call has come."""
        ...

    def received(self, method: str) -> None:
        """A message of a streaming call has come."""
        ...

    def sent(self, method: str) -> None:
        """A message of a streaming call is being sent."""
        ...

    def finished(self, method: str, code: str, seconds: float) -> None:
        """A call has ended with the status ``code``, such as ``OK`` or ``NOT_FOUND``."""
        ...


class _Unobserved:
    def started(self, method: str) -> None: ...

    def received(self, method: str) -> None: ...

    def sent(self, method: str) -> None: ...

    def finished(self, method: str, code: str, seconds: float) -> None: ...


class Dispatcher:
    """Makes the method handlers of one server."""

    def __init__(
        self,
        service: str,
        loop: asyncio.AbstractEventLoop,
        quick: ThreadPoolExecutor,
        observer: GrpcObserver | None = None,
    ) -> None:
        self._service = service
        self._loop = loop
        self._quick = quick
        self._observer: GrpcObserver = observer or _Unobserved()
        #: Streams that are open.
        self.sessions: WeakSet[StreamSession] = WeakSet()

    def unary(self, name: str, handler: Callable[[bytes, GrpcCall], bytes]) -> grpc.RpcMethodHandler:
        """A call that ``handler`` answers in the call's thread."""
        method, loop, observer = f"/{self._service}/{name}", self._loop, self._observer

        def behaviour(data: bytes, context: grpc.ServicerContext) -> bytes:
            observer.started(method)
            start = monotonic()
            try:
                answer = handler(data, GrpcCall(context, loop))
            except Exception as caught:
                error = _known(caught, method)
                observer.finished(method, status_of(error).name, monotonic() - start)
                _abort(context, error)
            observer.finished(method, "OK", monotonic() - start)
            return answer

        return grpc.unary_unary_rpc_method_handler(behaviour)

    def on_loop(
        self, name: str, handler: Callable[[bytes], Awaitable[bytes]], *, quick: bool = False
    ) -> grpc.RpcMethodHandler:
        """A call that ``handler`` answers on the event loop; a ``quick`` one is answered however many others wait."""

        async def work(data: bytes) -> bytes:
            return await handler(data)

        made = self.unary(name, lambda data, call: call.wait(work(data)))
        if quick:
            made.unary_unary.experimental_thread_pool = self._quick  # read by grpcio
        return made

    def stream(self, name: str, session: Callable[[GrpcCall], StreamSession]) -> grpc.RpcMethodHandler:
        """A call with any number of messages both ways, answered by a ``session`` of its own."""
        method, observer = f"/{self._service}/{name}", self._observer

        def behaviour(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            observer.started(method)
            start = monotonic()
            call = GrpcCall(context, self._loop)
            opened = session(call)
            self.sessions.add(opened)
            call.on_end(opened.cancel)
            # Reading needs a thread besides this one, which writes. It is not from the pool: were all of the pool's
            # threads writers, none would read.
            Thread(target=self._read, args=(method, requests, opened), name="grpc-stream-reader", daemon=True).start()
            code = Code.CANCELLED.name
            try:
                for answer in opened:
                    observer.sent(method)
                    yield answer
                if opened.draining:
                    code = _STOPPING.code.name
                    _abort(context, _STOPPING)
                if not opened.cancelled:
                    code = "OK"
            except OIPError as error:
                code = status_of(error).name
                _abort(context, error)
            finally:
                opened.cancel()
                observer.finished(method, code, monotonic() - start)

        return grpc.stream_stream_rpc_method_handler(behaviour)

    def _read(self, method: str, requests: Iterator[bytes], session: StreamSession) -> None:
        try:
            for data in requests:
                self._observer.received(method)
                session.submit(data)
        except grpc.RpcError:  # the call is over
            session.cancel()
        else:
            session.half_close()


def _known(error: Exception, method: str) -> OIPError:
    """The error as it may be shown; what is not meant to be shown goes to the log."""
    if isinstance(error, OIPError):
        return error
    _log.error("%s failed unexpectedly", method, exc_info=error)
    return InternalError("internal server error")


def _abort(context: grpc.ServicerContext, error: OIPError) -> NoReturn:
    if metadata := retry_metadata(error):
        context.set_trailing_metadata(metadata)
    context.abort(status_of(error), details(wording(error)))
    raise AssertionError("abort() raises")
