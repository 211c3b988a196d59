"""Serialized inference messages to requests, and responses to serialized messages; knows nothing of gRPC itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from google.protobuf.message import DecodeError

from ...errors import InvalidArgumentError
from ...pb.inference_pb2 import ModelInferRequest, ModelInferResponse
from ...protocol import InferRequest, InferResponse, RequestedOutput
from ...protocol.regions import REGION, Place, PlacedTensor, take_output_place, take_place
from ...protocol.reserved import RESERVED_PREFIX, check_request_parameters, class_count
from ...tensor import Parameters, Tensor, element_count, lookup_datatype
from ...tensor.tensor import Buffer
from ..names import check_model_name
from .contents import CONTENTS_FIELDS, read_contents, write_contents
from .framing import encode_varint, join_field, split_field
from .parameters import read_parameters, write_parameters

# From this many bytes on a message is cut by hand instead of being parsed whole; below, parsing is quicker.
SPLIT_FROM = 16_384
_RAW_INPUT_CONTENTS = ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER
_RAW_OUTPUT_CONTENTS = ModelInferResponse.RAW_OUTPUT_CONTENTS_FIELD_NUMBER
WANTS_EMPTY_FINAL = "triton_enable_empty_final_response"
#: Reserved parameters that callers may set on this wire.
WIRE_PARAMETERS = (WANTS_EMPTY_FINAL,)
_STREAM_ERROR = b"\x0a"  # ModelStreamInferResponse.error_message, length-delimited
_STREAM_RESPONSE = b"\x12"  # ModelStreamInferResponse.infer_response, length-delimited


class Parse(Protocol):
    """Makes a request of a serialized ModelInferRequest. Raises OIPError."""

    def __call__(
        self, data: bytes, headers: Mapping[str, str] | None = None, deadline: int | None = None
    ) -> InferRequest: ...


def parse_infer(data: bytes, headers: Mapping[str, str] | None = None, deadline: int | None = None) -> InferRequest:
    """The request in a serialized ModelInferRequest; ``deadline`` is a ``time.monotonic_ns`` instant.

    Tensors of large messages are views of ``data``. Raises InvalidArgumentError.
    """
    raws: Sequence[Buffer]
    try:
        if len(data) < SPLIT_FROM:
            message = ModelInferRequest.FromString(data)
            raws = message.raw_input_contents
        else:
            head, raws = split_field(data, _RAW_INPUT_CONTENTS)
            message = ModelInferRequest.FromString(head)
    except DecodeError:
        raise InvalidArgumentError("the message is not a ModelInferRequest") from None
    name = check_model_name(message.model_name)
    parameters = read_parameters(message.parameters)
    if parameters:
        _check_parameters(parameters)
    places: dict[str, Place] = {}
    placed: list[PlacedTensor] = []
    outputs = [_requested(output, places) for output in message.outputs]
    request = InferRequest(
        name,
        _raw_inputs(message, raws, placed) if raws else _typed_inputs(message, placed),
        message.model_version,
        message.id,
        outputs,
        parameters,
        headers,
        deadline,
        _checked_outputs(outputs) if outputs else None,
    )
    if places or placed:
        request.regions = places
    return request


def request_id(data: bytes) -> str:
    """The id in a serialized ModelInferRequest that may be broken; "" where none can be read."""
    try:
        return ModelInferRequest.FromString(data).id
    except DecodeError:
        return ""


def _raw_inputs(message: ModelInferRequest, raws: Sequence[Buffer], placed: list[PlacedTensor]) -> list[Tensor]:
    inputs: list[Tensor] = []
    for tensor in message.inputs:
        name = tensor.name
        # MLServer's clients send contents beside raw data, but empty ones.
        if tensor.HasField("contents") and tensor.contents.ListFields():
            raise InvalidArgumentError(
                f"contents field must not be specified when using raw_input_contents for '{name}' "
                f"for model '{message.model_name}'"
            )
        parameters = read_parameters(tensor.parameters) if tensor.parameters else None
        if parameters and REGION in parameters:
            inputs.append(_placed_input(tensor, parameters, placed))
            continue
        index = len(inputs) - len(placed)  # raw data are of inputs that lie nowhere else
        if index >= len(raws):
            raise _no_data(name, message.model_name)
        datatype = lookup_datatype(tensor.datatype, name)
        inputs.append(
            Tensor.from_raw(name, datatype, tuple(tensor.shape), raws[index], parameters, model=message.model_name)
        )
    return inputs


def _typed_inputs(message: ModelInferRequest, placed: list[PlacedTensor]) -> list[Tensor]:
    inputs: list[Tensor] = []
    for tensor in message.inputs:
        parameters = read_parameters(tensor.parameters) if tensor.parameters else None
        if parameters and REGION in parameters:
            if tensor.contents.ListFields():
                raise InvalidArgumentError(
                    f"contents field must not be specified when using '{REGION}' for '{tensor.name}' "
                    f"for model '{message.model_name}'"
                )
            inputs.append(_placed_input(tensor, parameters, placed))
            continue
        shape = tuple(tensor.shape)
        if not tensor.HasField("contents") and element_count(shape, tensor.name):
            raise _no_data(tensor.name, message.model_name)
        datatype = lookup_datatype(tensor.datatype, tensor.name)
        read = read_contents(tensor.name, datatype, shape, tensor.contents, message.model_name)
        read.parameters = parameters
        inputs.append(read)
    return inputs


def _no_data(name: str, model: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"unable to find data for input tensor '{name}' for model '{model}' in request.")


def _placed_input(
    tensor: ModelInferRequest.InferInputTensor, parameters: Parameters, placed: list[PlacedTensor]
) -> PlacedTensor:
    datatype = lookup_datatype(tensor.datatype, tensor.name)
    place, rest = take_place(parameters, tensor.name)
    placed.append(PlacedTensor(tensor.name, datatype.name, tuple(tensor.shape), place, rest))
    return placed[-1]


def _requested(output: ModelInferRequest.InferRequestedOutputTensor, places: dict[str, Place]) -> RequestedOutput:
    if not output.parameters:
        return RequestedOutput(output.name)
    parameters: Parameters | None = read_parameters(output.parameters)
    if parameters and REGION in parameters:
        parameters = take_output_place(parameters, output.name, places)
    return RequestedOutput(output.name, parameters)


def _checked_outputs(outputs: Sequence[RequestedOutput]) -> dict[str, int] | None:
    """How many classes are wanted of which outputs, None where of none. Raises InvalidArgumentError."""
    wanted: dict[str, int] | None = None
    seen: set[str] = set()
    for output in outputs:
        if output.name in seen:
            raise InvalidArgumentError(f"output '{output.name}' already exists in request")
        seen.add(output.name)
        parameters = output.parameters
        if parameters and "classification" in parameters:
            wanted = wanted or {}
            wanted[output.name] = _class_count(parameters)
    return wanted


def _class_count(parameters: Parameters) -> int:
    count = parameters["classification"]
    if type(count) is not int:
        raise InvalidArgumentError("invalid value type for 'classification' parameter, expected int64_param")
    if count <= 0:
        raise InvalidArgumentError(f"invalid value for 'classification' parameter, expected >= 0, got {count}")
    return class_count(parameters)


def _check_parameters(parameters: Parameters) -> None:
    for key in parameters:
        if key.startswith(RESERVED_PREFIX) and key not in WIRE_PARAMETERS:
            raise InvalidArgumentError(
                f"parameter keys starting with '{RESERVED_PREFIX}' are reserved for Triton usage. Only the following "
                f"keys starting with '{RESERVED_PREFIX}' are allowed: {', '.join(WIRE_PARAMETERS)}"
            )
    check_request_parameters(parameters, WIRE_PARAMETERS)


def _message(response: InferResponse) -> ModelInferResponse:
    """All of a response but its data."""
    message = ModelInferResponse(model_name=response.model_name, model_version=response.model_version, id=response.id)
    if response.parameters:
        write_parameters(response.parameters, message.parameters)
    for tensor in response.outputs:
        output = message.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if tensor.parameters:
            write_parameters(tensor.parameters, output.parameters)
    return message


def response_pieces(response: InferResponse) -> Sequence[bytes | memoryview]:
    """The pieces of a serialized ModelInferResponse; data are raw and not copied yet, but BYTES are packed."""
    head = _message(response).SerializeToString()
    return join_field(head, _RAW_OUTPUT_CONTENTS, [tensor.raw for tensor in response.outputs])


def encode_response(response: InferResponse) -> bytes:
    """A serialized ModelInferResponse."""
    return b"".join(response_pieces(response))


def is_typed(request: InferRequest) -> bool:
    """Whether the data of a request just parsed came in typed contents."""
    return bool(request.inputs) and not any(tensor.has_raw for tensor in request.inputs)


def encode_typed_response(response: InferResponse) -> bytes:
    """A serialized ModelInferResponse with typed contents, or with raw ones where a datatype has no others."""
    if any(tensor.datatype not in CONTENTS_FIELDS or type(tensor) is PlacedTensor for tensor in response.outputs):
        return encode_response(response)
    message = _message(response)
    for tensor, output in zip(response.outputs, message.outputs, strict=True):
        write_contents(tensor, output.contents)
    serialized: bytes = message.SerializeToString()
    return serialized


def encode_stream_response(response: InferResponse, error: str = "") -> bytes:
    """A serialized ModelStreamInferResponse."""
    pieces = response_pieces(response)
    size = sum(piece.nbytes if isinstance(piece, memoryview) else len(piece) for piece in pieces)
    text = error.encode()
    start = [_STREAM_ERROR, encode_varint(len(text)), text] if text else []
    return b"".join([*start, _STREAM_RESPONSE, encode_varint(size), *pieces])
