"""``mlserver.grpc.dataplane_pb2_grpc``: what a client calls the service with; knows no server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message_factory import GetMessageClass

from ...wire.grpc.pb import inference_pb2

_SERVICE: Any = inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]


class GRPCInferenceServiceStub:
    """A callable for each method of the service, over ``channel``, one of ``grpc`` or of ``grpc.aio``."""

    ServerLive: Callable[..., Any]
    ServerReady: Callable[..., Any]
    ServerMetadata: Callable[..., Any]
    ModelReady: Callable[..., Any]
    ModelMetadata: Callable[..., Any]
    ModelInfer: Callable[..., Any]
    #: Answers with Triton's ModelStreamInferResponse, as this server does.
    ModelStreamInfer: Callable[..., Any]
    RepositoryIndex: Callable[..., Any]
    RepositoryModelLoad: Callable[..., Any]
    RepositoryModelUnload: Callable[..., Any]

    def __init__(self, channel: Any) -> None:
        for method in _SERVICE.methods:
            make = channel.stream_stream if method.server_streaming else channel.unary_unary
            call = make(
                f"/{_SERVICE.full_name}/{method.name}",
                request_serializer=GetMessageClass(method.input_type).SerializeToString,
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
            setattr(self, method.name, call)
