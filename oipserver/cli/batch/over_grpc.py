"""A client over gRPC; knows no file."""

from __future__ import annotations

import grpc

from ...errors import OIPError
from ...pb.inference_pb2 import ModelInferRequest, ModelInferResponse
from ...protocol import InferRequest, InferResponse
from ...wire.grpc import SERVICE
from ...wire.grpc.asking import read_answer, write_question
from .call import CallError, Client, Target

_RETRY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED})
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class GrpcClient(Client):
    """Speaks gRPC with one server; data travel as raw contents."""

    def __init__(self, target: Target) -> None:
        host = f"[{target.host}]" if ":" in target.host else target.host
        address = f"{host}:{target.port}"
        if target.secure:
            self._channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(), _UNLIMITED)
        else:
            self._channel = grpc.insecure_channel(address, _UNLIMITED)
        self._infer = self._channel.unary_unary(
            f"/{SERVICE}/ModelInfer", ModelInferRequest.SerializeToString, ModelInferResponse.FromString
        )
        self._timeout = target.timeout
        self._metadata = [(name.lower(), value) for name, value in target.headers.items()]

    def infer(self, request: InferRequest) -> InferResponse:
        try:
            answer = self._infer(write_question(request), timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            code, details = error.code(), error.details()
            wait = dict(error.trailing_metadata() or ()).get("retry-after", "")
            after = float(wait) if wait.isdecimal() else None
            raise CallError(f"{code.name}: {details}", retry=code in _RETRY, retry_after=after) from None
        try:
            return read_answer(answer)
        except OIPError as error:
            raise CallError(f"the answer cannot be read: {error.message}", retry=False) from None

    def close(self) -> None:
        self._channel.close()
