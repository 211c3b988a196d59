"""``mlserver.grpc.model_repository_pb2_grpc``: the repository's calls by their older name; knows no server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...pb import inference_pb2

_SERVICE = "inference.model_repository.ModelRepositoryService"
_METHODS = ("RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload")


class ModelRepositoryServiceStub:
    """A callable for each method of the service, over ``channel``, one of ``grpc`` or of ``grpc.aio``."""

    RepositoryIndex: Callable[..., Any]
    RepositoryModelLoad: Callable[..., Any]
    RepositoryModelUnload: Callable[..., Any]

    def __init__(self, channel: Any) -> None:
        for name in _METHODS:
            call = channel.unary_unary(
                f"/{_SERVICE}/{name}",
                request_serializer=getattr(inference_pb2, f"{name}Request").SerializeToString,
                response_deserializer=getattr(inference_pb2, f"{name}Response").FromString,
            )
            setattr(self, name, call)
