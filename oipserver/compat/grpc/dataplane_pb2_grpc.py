"""``mlserver.grpc.dataplane_pb2_grpc``: what a client calls the service with; knows no server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from ...pb import inference_pb2

_SERVICE: Any = inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]


class GRPCInferenceServiceStub:
    """A callable for each method of the service, over ``channel``, one of ``grpc`` or of ``grpc.aio``."""

    ServerLive: Callable[..., Any]
    ServerReady: Callable[..., Any]
    ServerMetadata: Callable[..., Any]
    ModelReady: Callable[..., Any]
    ModelMetadata: Callable[..., Any]
    ModelInfer: Callable[..., Any]
    #: Answers are ModelStreamInferResponse, or ModelInferResponse where the server speaks MLServer's dialect.
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
                response_deserializer=_stream_answer if method.server_streaming else _parser(method.output_type),
            )
            setattr(self, method.name, call)


def _parser(descriptor: Any) -> Callable[[bytes], Message]:
    return GetMessageClass(descriptor).FromString


def _stream_answer(data: bytes) -> Message:
    """One answer of a stream, in whichever dialect: only in MLServer's is it a response with outputs of its own."""
    try:
        answer = inference_pb2.ModelInferResponse.FromString(data)
    except DecodeError:
        return inference_pb2.ModelStreamInferResponse.FromString(data)
    return answer if answer.outputs else inference_pb2.ModelStreamInferResponse.FromString(data)
