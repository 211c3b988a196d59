"""The bridge in the other direction: requests that a model's own code makes, and the answers it gets to them."""

from __future__ import annotations

from ..protocol import InferRequest, InferResponse, RequestedOutput
from .bridge import _internal_output, _plain
from .dataplane import InferenceRequest, InferenceResponse, Parameters, ResponseOutput
from .tensor_data import TensorData


def request_from_public(request: InferenceRequest, model: str) -> InferRequest:
    """The internal form of ``request`` to the model called ``model``.

    Raises InvalidArgumentError naming the input for elements that its datatype cannot hold.
    """
    inputs = [
        ResponseOutput(
            name=tensor.name,
            shape=tensor.shape,
            datatype=tensor.datatype,
            data=tensor.data,
            parameters=tensor.parameters,
        )
        for tensor in request.inputs
    ]
    return InferRequest(
        model_name=model,
        id=request.id or "",
        inputs=[_internal_output(tensor, model) for tensor in inputs],
        outputs=[RequestedOutput(output.name, _plain(output.parameters)) for output in request.outputs or ()],
        parameters=_plain(request.parameters) or {},
    )


def response_to_public(response: InferResponse) -> InferenceResponse:
    """The public form of ``response``. No data is touched."""
    return InferenceResponse(
        model_name=response.model_name,
        model_version=response.model_version or None,
        id=response.id or None,
        parameters=Parameters(**response.parameters) if response.parameters else None,
        outputs=[
            ResponseOutput(
                name=tensor.name,
                shape=list(tensor.shape),
                datatype=tensor.datatype,
                data=TensorData(tensor),
                parameters=Parameters(**tensor.parameters) if tensor.parameters else None,
            )
            for tensor in response.outputs
        ],
    )
