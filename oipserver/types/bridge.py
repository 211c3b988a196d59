"""The one bridge between the internal request and the public types, crossed only when a model's code asks for them."""

from __future__ import annotations

from ..protocol import InferRequest, InferResponse
from ..tensor import Tensor, array_from_json, lookup_datatype
from .dataplane import (
    InferenceRequest,
    InferenceResponse,
    Parameters,
    RequestInput,
    RequestOutput,
    ResponseOutput,
    TensorData,
)


def to_public(request: InferRequest) -> InferenceRequest:
    """The public form of ``request``; the transport's headers are in ``parameters.headers``."""
    parameters = dict(request.parameters)
    public = InferenceRequest(
        inputs=[_public_input(tensor) for tensor in request.inputs],
        parameters=Parameters(**parameters, headers=dict(request.headers) if request.headers else None)
        if parameters or request.headers
        else None,
    )
    if request.id:
        public.id = request.id
    if request.outputs:
        public.outputs = [
            RequestOutput(name=output.name, parameters=Parameters(**output.parameters) if output.parameters else None)
            for output in request.outputs
        ]
    return public


def _public_input(tensor: Tensor) -> RequestInput:
    public = RequestInput(
        name=tensor.name,
        shape=list(tensor.shape),
        datatype=tensor.datatype,
        data=TensorData(root=tensor.array.ravel().tolist()),
    )
    if tensor.parameters:
        public.parameters = Parameters(**tensor.parameters)
    public._tensor = tensor
    return public


def from_public(response: InferenceResponse, request: InferRequest) -> InferResponse:
    """The internal form of what a model answered to ``request``."""
    parameters = response.parameters.model_dump() if response.parameters else {}
    headers = parameters.pop("headers", None)
    return InferResponse(
        model_name=request.model_name,
        model_version=request.model_version,
        id=request.id,
        outputs=[_internal_output(output) for output in response.outputs],
        parameters=parameters or None,
        headers=headers,
    )


def _internal_output(output: ResponseOutput) -> Tensor:
    if output._tensor is not None:
        return output._tensor
    datatype = lookup_datatype(output.datatype, output.name)
    shape = tuple(output.shape)
    array = array_from_json(output.data.root, datatype, shape, output.name)
    parameters = output.parameters.model_dump() if output.parameters else None
    return Tensor(output.name, datatype.name, shape, array=array, parameters=parameters)
