"""A client over gRPC; knows no file."""

from __future__ import annotations

import grpc

from ...errors import OIPError
from ...pb.inference_pb2 import ModelInferRequest, ModelInferResponse
from ...protocol import InferRequest, InferResponse
from ...tensor import Tensor, lookup_datatype
from ...wire.grpc import SERVICE
from ...wire.grpc.contents import read_contents
from ...wire.grpc.parameters import read_parameters, write_parameters
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
            answer = self._infer(_message(request), timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            code, details = error.code(), error.details()
            wait = dict(error.trailing_metadata() or ()).get("retry-after", "")
            after = float(wait) if wait.isdigit() else None
            raise CallError(f"{code.name}: {details}", retry=code in _RETRY, retry_after=after) from None
        try:
            return _response(answer)
        except OIPError as error:
            raise CallError(f"the answer cannot be read: {error.message}", retry=False) from None

    def close(self) -> None:
        self._channel.close()


def _message(request: InferRequest) -> ModelInferRequest:
    message = ModelInferRequest(model_name=request.model_name, model_version=request.model_version, id=request.id)
    write_parameters(request.parameters, message.parameters)
    for tensor in request.inputs:
        added = message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        write_parameters(tensor.parameters or {}, added.parameters)
        message.raw_input_contents.append(bytes(tensor.raw))
    for output in request.outputs:
        wanted = message.outputs.add(name=output.name)
        write_parameters(output.parameters or {}, wanted.parameters)
    return message


def _response(message: ModelInferResponse) -> InferResponse:
    outputs: list[Tensor] = []
    for index, output in enumerate(message.outputs):
        datatype, shape = lookup_datatype(output.datatype, output.name), tuple(output.shape)
        if message.raw_output_contents:
            raw = message.raw_output_contents[index] if index < len(message.raw_output_contents) else b""
            tensor = Tensor.from_raw(output.name, datatype, shape, raw)
        else:
            tensor = read_contents(output.name, datatype, shape, output.contents, message.model_name)
        tensor.parameters = read_parameters(output.parameters) or None
        outputs.append(tensor)
    parameters = read_parameters(message.parameters) or None
    return InferResponse(message.model_name, outputs, message.model_version, message.id, parameters)
