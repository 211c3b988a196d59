"""The one bridge between the internal request and the public types, crossed only when a model's code asks for them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from pydantic import ValidationError

from ..errors import InvalidArgumentError
from ..protocol import InferRequest, InferResponse
from ..tensor import Datatype, Tensor, array_from_json, lookup_datatype
from ..tensor.json_data import bf16_from_float32, float32_from_bf16
from ..tensor.packing import as_bytes
from .dataplane import InferenceRequest, InferenceResponse, Parameters, RequestInput, RequestOutput, ResponseOutput
from .tensor_data import TensorData

_log = logging.getLogger(__name__)

#: Where codecs keep what they decoded, beside the parameters; it is never sent.
DECODED_PARAMETER = "_decoded_payload"


def to_public(request: InferRequest) -> InferenceRequest:
    """The public form of ``request``; the transport's headers are in ``parameters.headers``. No data is touched.

    Raises InvalidArgumentError for parameters of a wrong kind.
    """
    fields: dict[str, Any] = {"inputs": [_public_input(tensor) for tensor in request.inputs]}
    if request.id:
        fields["id"] = request.id
    if request.headers:
        fields["parameters"] = _public({**request.parameters, "headers": dict(request.headers)})
    elif request.parameters:
        fields["parameters"] = _public(request.parameters)
    if request.outputs:
        fields["outputs"] = [
            RequestOutput(name=output.name, parameters=_public(output.parameters))
            if output.parameters
            else RequestOutput(name=output.name)
            for output in request.outputs
        ]
    return InferenceRequest(**fields)


def _public_input(tensor: Tensor) -> RequestInput:
    fields: dict[str, Any] = {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "datatype": tensor.datatype,
        "data": TensorData(tensor),
    }
    if tensor.parameters:
        fields["parameters"] = _public(tensor.parameters)
    return RequestInput(**fields)


def _public(parameters: Mapping[str, Any]) -> Parameters:
    try:
        return Parameters(**parameters)
    except ValidationError as error:  # a content type that is no text
        problem = error.errors(include_url=False, include_input=False)[0]
        raise InvalidArgumentError(f"parameter '{problem['loc'][0]}': {problem['msg']}") from None


def from_public(response: InferenceResponse, request: InferRequest) -> InferResponse:
    """The internal form of what a model answered to ``request``.

    ``parameters.headers`` of the response and of its outputs become headers of the transport. An output whose declared
    shape does not fit its elements gets the shape of its elements. Raises InvalidArgumentError naming the output for
    elements that its datatype cannot hold.
    """
    parameters = _plain(response.parameters)
    headers = parameters.pop("headers", None) if parameters else None
    outputs = []
    for output in response.outputs:
        tensor = _internal_output(output, request.model_name)
        if tensor.parameters and "headers" in tensor.parameters:
            own: Any = tensor.parameters.pop("headers")
            headers = {**(headers or {}), **own}
        outputs.append(tensor)
    return InferResponse(
        model_name=request.model_name,
        model_version=request.model_version,
        id=request.id,
        outputs=outputs,
        parameters=parameters,
        headers=headers,
    )


def _plain(parameters: Parameters | None) -> dict[str, Any] | None:
    """The parameters that are set, as a dictionary of its own."""
    if parameters is None:
        return None
    plain = {key: value for key, value in parameters.__dict__.items() if value is not None and key != DECODED_PARAMETER}
    if parameters.model_extra:
        plain.update(
            (key, value)
            for key, value in parameters.model_extra.items()
            if value is not None and key != DECODED_PARAMETER
        )
    return plain or None


def _internal_output(output: ResponseOutput, model: str) -> Tensor:
    name, datatype = output.name, lookup_datatype(output.datatype, output.name)
    shape = tuple(output.shape)
    parameters = _plain(output.parameters)
    data = TensorData.model_validate(output.data)  # a model's code may have put a plain list there
    source = data.source
    if isinstance(source, Tensor):
        if source.datatype == datatype.name and source.shape == shape:
            tensor = source.renamed(name)
            tensor.parameters = parameters
            return tensor
        source = float32_from_bf16(source.array) if source.datatype == "BF16" else source.array
    if source is not None:
        array = _converted(source, datatype, name)
    elif datatype.kind == "bytes":
        array = _bytes_array(data.elements())
    else:
        array = _listed_array(data.elements(), datatype, shape, name)
    if array.shape != shape:
        array = _fitted(array, shape, name, model)
    return Tensor(name, datatype.name, array.shape, array=array, parameters=parameters)


def _converted(array: np.ndarray[Any, Any], datatype: Datatype, name: str) -> np.ndarray[Any, Any]:
    """``array`` in the dtype of ``datatype``; as it is where it already has it."""
    if datatype.name == "BF16":
        return array if array.dtype == datatype.dtype else bf16_from_float32(array.astype(np.float32))
    if array.dtype == datatype.dtype and datatype.kind != "bytes":
        return array
    if datatype.kind == "bytes":
        converted = np.empty(array.size, dtype=object)
        converted[:] = [as_bytes(element) for element in array.ravel().tolist()]
        return converted.reshape(array.shape)
    if not np.can_cast(array.dtype, datatype.dtype, "same_kind"):
        raise InvalidArgumentError(f"output '{name}' is {datatype.name}, but its array has dtype {array.dtype}")
    return array.astype(datatype.dtype)


def _bytes_array(elements: object) -> np.ndarray[Any, Any]:
    """Text and bytes, nested or not, as a flat array."""
    flat: list[bytes] = []
    pending = [elements]
    while pending:
        element = pending.pop()
        if isinstance(element, (list, tuple)):
            pending.extend(reversed(element))
        else:
            flat.append(as_bytes(element))
    array = np.empty(len(flat), dtype=object)
    array[:] = flat
    return array


def _listed_array(elements: Any, datatype: Datatype, shape: tuple[int, ...], name: str) -> np.ndarray[Any, Any]:
    """Numbers as an array: of ``shape`` where they fit it, else as they are nested."""
    try:
        return array_from_json(elements, datatype, shape, name)
    except InvalidArgumentError:
        try:
            natural = np.shape(elements)
        except ValueError:
            natural = shape
        if natural == shape:
            raise
        return array_from_json(elements, datatype, natural, name)


def _fitted(array: np.ndarray[Any, Any], shape: tuple[int, ...], name: str, model: str) -> np.ndarray[Any, Any]:
    """``array`` in ``shape`` where that is possible (one dimension may be -1), else as it is."""
    try:
        return array.reshape(shape)
    except ValueError:
        _warn_of_shape(model, name)
        return array


@lru_cache(maxsize=1024)
def _warn_of_shape(model: str, output: str) -> None:
    """Once per output, not once per request."""
    _log.warning("model '%s': the shape of output '%s' does not fit its elements; theirs is sent", model, output)
