"""``grpc.health.v1`` over the server's readiness; knows nothing of models."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

SERVICE_NAME: str = health.SERVICE_NAME
Send = Callable[[Any], None]


class HealthServicer(health.HealthServicer):  # type: ignore[misc]  # the package has no types
    """Tells SERVING while the server is ready, for the server ("") and for each of ``services``.

    ``ready``, which may wait for the event loop, is asked on every check, and by ``refresh``.
    """

    def __init__(self, ready: Callable[[], bool], services: tuple[str, ...]) -> None:
        super().__init__()
        self._ready = ready
        self._services = ("", *services)
        self._watchers: set[Send] = set()
        self._watchers_lock = Lock()
        self._told: bool | None = None
        self._telling = Lock()

    def refresh(self) -> None:
        """Ask whether the server is ready, and send a change to those who watch. Not for the event loop's thread."""
        with self._telling:  # asked here, so that nobody tells what somebody else has found out to be over
            ready = self._ready()
            if ready != self._told:
                self._told = ready
                kind = health_pb2.HealthCheckResponse
                for service in self._services:
                    self.set(service, kind.SERVING if ready else kind.NOT_SERVING)

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """The status now."""
        self.refresh()
        return super().Check(request, context)

    def Watch(self, request: Any, context: grpc.ServicerContext, send_response_callback: Send) -> None:  # noqa: N802
        """The status now, and whenever it changes; holds no thread."""
        self.refresh()
        send = _until_end(send_response_callback)
        with self._watchers_lock:
            self._watchers.add(send)
        context.add_callback(lambda: self._left(send))
        super().Watch(request, context, send)

    def _left(self, send: Send) -> None:
        with self._watchers_lock:
            self._watchers.discard(send)

    def close(self) -> None:
        """Tell everybody NOT_SERVING and end what watches. Not for the event loop's thread."""
        self.enter_graceful_shutdown()
        with self._watchers_lock:
            watchers = list(self._watchers)
        for send in watchers:
            send(None)

    def handlers(self, threads: ThreadPoolExecutor) -> dict[str, grpc.RpcMethodHandler]:
        """The service's methods; checks run in ``threads``."""

        def check(request: Any, context: grpc.ServicerContext) -> Any:
            return self.Check(request, context)

        check.experimental_thread_pool = threads  # type: ignore[attr-defined]  # read by grpcio
        messages = {
            "request_deserializer": health_pb2.HealthCheckRequest.FromString,
            "response_serializer": health_pb2.HealthCheckResponse.SerializeToString,
        }
        return {
            "Check": grpc.unary_unary_rpc_method_handler(check, **messages),
            "Watch": grpc.unary_stream_rpc_method_handler(self.Watch, **messages),
        }


def _until_end(send: Send) -> Send:
    """``send`` up to the first None, which ends a call and may be sent only once."""
    lock = Lock()
    ended = False

    def guarded(response: Any) -> None:
        nonlocal ended
        with lock:
            if ended:
                return
            ended = response is None
        send(response)

    return guarded
