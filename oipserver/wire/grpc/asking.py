"""The caller's side of ModelInfer: the message of a request, the answer in a message; opens no channel."""

from __future__ import annotations

from ...pb.inference_pb2 import ModelInferRequest, ModelInferResponse
from ...protocol import InferRequest, InferResponse
from ...tensor import Tensor, lookup_datatype
from .contents import read_contents
from .parameters import read_parameters, write_parameters


def write_question(request: InferRequest) -> ModelInferRequest:
    """The message of ``request``; data travel as raw contents."""
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


def read_answer(message: ModelInferResponse) -> InferResponse:
    """The answer in ``message``. Raises OIPError where it cannot be read."""
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
