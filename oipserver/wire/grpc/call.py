"""One gRPC call as the handlers see it: its deadline, its metadata, and waiting for the event loop on its behalf."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError as FutureCancelledError
from time import monotonic_ns
from typing import Any, TypeVar

import grpc

from ...errors import CancelledError, UnavailableError
from .errors import response_metadata

T = TypeVar("T")

# grpcio tells the time to a deadline that is not there as about 2^63 seconds.
_NO_DEADLINE_SECONDS = 1e9


class LazyHeaders(Mapping[str, str]):
    """Metadata of a call as text headers, read when somebody looks; binary ones (``-bin``) are left out."""

    __slots__ = ("_context", "_headers")
    wire = "GRPC"

    def __init__(self, context: grpc.ServicerContext) -> None:
        self._context = context
        self._headers: dict[str, str] | None = None

    def _read(self) -> dict[str, str]:
        if self._headers is None:
            metadata = self._context.invocation_metadata() or ()
            self._headers = {key: value for key, value in metadata if isinstance(value, str)}
        return self._headers

    def __getitem__(self, key: str) -> str:
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


class GrpcCall:
    """A call that is being answered in a thread of the gRPC server."""

    __slots__ = ("_context", "_loop", "headers")

    def __init__(self, context: grpc.ServicerContext, loop: asyncio.AbstractEventLoop) -> None:
        self._context = context
        self._loop = loop
        self.headers: Mapping[str, str] = LazyHeaders(context)

    @property
    def deadline(self) -> int | None:
        """When the caller stops waiting (``time.monotonic_ns``); None where it did not say."""
        remaining: float | None = self._context.time_remaining()
        if remaining is None or remaining > _NO_DEADLINE_SECONDS:
            return None
        return monotonic_ns() + int(remaining * 1e9)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` on the event loop and wait; it is cancelled when the caller goes away.

        Raises what it raises, CancelledError where the caller went away.
        """
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # the loop is closed: the server has stopped
            work.close()
            raise UnavailableError("the server is stopping") from None
        self.on_end(future.cancel)
        try:
            return future.result()
        except FutureCancelledError:
            raise CancelledError("the request was cancelled") from None

    def on_end(self, callback: Callable[[], object]) -> None:
        """Have ``callback`` called, in any thread, when the call ends for whatever reason; at once where it has."""
        if not self._context.add_callback(callback):
            callback()

    def send_headers(self, headers: Mapping[str, str]) -> None:
        """Send ``headers`` behind the answer."""
        self._context.set_trailing_metadata(response_metadata(headers))
