"""APIs that need metadata over gRPC, by method; knows no message."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import grpc

from ...settings import Settings
from ..restricted import Needed, restricted_apis

_PREFIX = "triton-grpc-protocol-"
_METHODS = {
    "health": ("ServerLive", "ServerReady", "ModelReady", "Check", "Watch"),
    "metadata": ("ServerMetadata", "ModelMetadata"),
    "inference": ("ModelInfer", "ModelStreamInfer"),
    "shared-memory": (
        *(f"{kind}SharedMemory{what}" for kind in ("System", "Cuda") for what in ("Status", "Register", "Unregister")),
    ),
    "model-config": ("ModelConfig",),
    "model-repository": ("RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload"),
    "statistics": ("ModelStatistics",),
    "trace": ("TraceSetting",),
    "logging": ("LogSettings",),
}


def restricted_methods(settings: Settings) -> dict[str, Needed]:
    """What each restricted method needs; empty where none is. Raises InvalidArgumentError."""
    needed = restricted_apis("grpc_restricted_protocol", settings.grpc_restricted_protocol, _PREFIX)
    return {method: needed[api] for api in needed for method in _METHODS[api]}


class RestrictedCalls(grpc.ServerInterceptor):  # type: ignore[misc]  # the package has no types
    """Refuses callers who do not know what the method they call needs. A server without restrictions has none."""

    def __init__(self, needed: dict[str, Needed]) -> None:
        self._needed = needed

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """The handler of a call, or one that refuses it."""
        handler = continuation(handler_call_details)
        needed = self._needed.get(handler_call_details.method.rpartition("/")[2])
        if needed is None or handler is None:
            return handler
        given = {key: value for key, value in handler_call_details.invocation_metadata if isinstance(value, str)}
        return handler if needed.given(given) else _refusing(needed, handler)


def _refusing(needed: Needed, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
    """A handler of the same kind that ends every call."""

    def refuse(_: object, context: grpc.ServicerContext) -> NoReturn:
        message = f"This protocol is restricted, expecting header '{needed.header}'"
        context.abort(grpc.StatusCode.UNAVAILABLE, message)
        raise AssertionError("abort() raises")

    if handler.request_streaming:
        return grpc.stream_stream_rpc_method_handler(refuse)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(refuse)
    return grpc.unary_unary_rpc_method_handler(refuse)
