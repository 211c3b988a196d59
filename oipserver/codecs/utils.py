"""Choosing codecs by content type, and keeping what they decoded beside a request's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..settings import ModelSettings
from ..types import (
    InferenceRequest,
    InferenceResponse,
    MetadataTensor,
    Parameters,
    RequestInput,
    RequestOutput,
    ResponseOutput,
    TensorData,
)
from ..types.bridge import DECODED_PARAMETER
from .base import (
    InputCodecLike,
    RequestCodec,
    RequestCodecLike,
    find_input_codec,
    find_input_codec_by_payload,
    find_request_codec,
    find_request_codec_by_payload,
)
from .errors import CodecError

InputOrOutput = RequestInput | ResponseOutput
Codec = InputCodecLike | RequestCodecLike
Parametrised = InferenceRequest | RequestInput | RequestOutput | ResponseOutput | InferenceResponse
Tagged = MetadataTensor | ModelSettings

#: The attribute of ``Parameters`` under which decoded values are kept.
DecodedParameterName = DECODED_PARAMETER
DefaultOutputPrefix = "output-"
DefaultInputPrefix = "input-"

_NO_METADATA: Mapping[str, MetadataTensor] = {}


def inject_batch_dimension(shape: list[int]) -> list[int]:
    """``shape`` with two dimensions at least where it has any: [n] is n rows of one element, [] is [1]."""
    if len(shape) > 1:
        return shape
    return [*shape, 1]


def elements_of(input_or_output: InputOrOutput) -> Any:
    """The elements as Python objects, to be read only."""
    data: Any = input_or_output.data
    return data.elements() if isinstance(data, TensorData) else data


def _get_content_type(request: Parametrised, metadata: Tagged | None = None) -> str | None:
    if request.parameters is not None and request.parameters.content_type is not None:
        return request.parameters.content_type
    parameters: Any = metadata.parameters if metadata is not None else None
    return parameters.content_type if parameters is not None else None


def _save_decoded(parametrised_obj: Parametrised, decoded_payload: Any) -> None:
    if parametrised_obj.parameters is None:
        parametrised_obj.parameters = Parameters()
    object.__setattr__(parametrised_obj.parameters, DecodedParameterName, decoded_payload)


def has_decoded(parametrised_obj: Parametrised) -> bool:
    """Whether a codec has decoded this request, input or output already."""
    parameters = parametrised_obj.parameters
    return parameters is not None and (
        DecodedParameterName in parameters.__dict__ or DecodedParameterName in (parameters.model_extra or ())
    )


def get_decoded(parametrised_obj: Parametrised) -> Any:
    """What a codec has decoded this into; None where none has."""
    return getattr(parametrised_obj.parameters, DecodedParameterName, None)


def get_decoded_or_raw(parametrised_obj: Parametrised) -> Any:
    """What a codec has decoded this into; else the data of an input or output, or the request itself."""
    if has_decoded(parametrised_obj):
        return get_decoded(parametrised_obj)
    if isinstance(parametrised_obj, (RequestInput, ResponseOutput)):
        return parametrised_obj.data
    return parametrised_obj


def decode_request_input(
    request_input: RequestInput, metadata_inputs: Mapping[str, MetadataTensor] = _NO_METADATA
) -> Any:
    """Decode an input by its own content type, else by that of its metadata, and keep the result beside its parameters.

    None where neither names a content type or no codec is registered for it. Raises CodecError.
    """
    content_type = _get_content_type(request_input, metadata_inputs.get(request_input.name))
    codec = find_input_codec(content_type)
    if codec is None:
        return None
    decoded = codec.decode_input(request_input)
    _save_decoded(request_input, decoded)
    return decoded


def decode_inference_request(
    inference_request: InferenceRequest,
    model_settings: ModelSettings | None = None,
    metadata_inputs: Mapping[str, MetadataTensor] = _NO_METADATA,
) -> Any:
    """Decode every input, then the request by its content type, else by that of the model's settings.

    The request itself where neither names a content type or no codec is registered for it. Raises CodecError.
    """
    for request_input in inference_request.inputs:
        decode_request_input(request_input, metadata_inputs)
    codec = find_request_codec(_get_content_type(inference_request, model_settings))
    if codec is None:
        return inference_request
    decoded = codec.decode_request(inference_request)
    _save_decoded(inference_request, decoded)
    return decoded


def encode_response_output(
    payload: Any, request_output: RequestOutput, metadata_outputs: Mapping[str, MetadataTensor] = _NO_METADATA
) -> ResponseOutput | None:
    """Encode an output by the content type asked for, else by that of its metadata, else by the payload's type.

    None where no codec is found. Raises CodecError.
    """
    content_type = _get_content_type(request_output, metadata_outputs.get(request_output.name))
    codec = find_input_codec(content_type) if content_type else find_input_codec_by_payload(payload)
    return None if codec is None else codec.encode_output(name=request_output.name, payload=payload)


def encode_inference_response(payload: Any, model_settings: ModelSettings) -> InferenceResponse | None:
    """Encode a whole response by the payload's type; None where no codec takes it. Raises CodecError."""
    codec = find_request_codec_by_payload(payload)
    if codec is None:
        return None
    return codec.encode_response(model_settings.name, payload, model_settings.parameters.version)


class SingleInputRequestCodec(RequestCodec):
    """A request codec for requests of one input: decodes and encodes that input by ``InputCodec``."""

    InputCodec: ClassVar[InputCodecLike | None] = None

    @classmethod
    def _codec(cls) -> InputCodecLike:
        if cls.InputCodec is None:
            raise NotImplementedError(f"No input codec found for {cls} request codec")
        return cls.InputCodec

    @classmethod
    def can_encode(cls, payload: Any) -> bool:
        return cls.InputCodec is not None and cls.InputCodec.can_encode(payload)

    @classmethod
    def encode_response(
        cls, model_name: str, payload: Any, model_version: str | None = None, **kwargs: Any
    ) -> InferenceResponse:
        output = cls._codec().encode_output(f"{DefaultOutputPrefix}1", payload, **kwargs)
        return InferenceResponse(
            model_name=model_name,
            model_version=model_version,
            parameters=Parameters(content_type=cls.ContentType),
            outputs=[output],
        )

    @classmethod
    def decode_response(cls, response: InferenceResponse) -> Any:
        output = cls._only(response.outputs, "output")
        if not has_decoded(output) and cls.InputCodec is not None:
            _save_decoded(output, cls.InputCodec.decode_output(output))
        return get_decoded_or_raw(output)

    @classmethod
    def encode_request(cls, payload: Any, **kwargs: Any) -> InferenceRequest:
        request_input = cls._codec().encode_input(f"{DefaultInputPrefix}1", payload, **kwargs)
        return InferenceRequest(parameters=Parameters(content_type=cls.ContentType), inputs=[request_input])

    @classmethod
    def decode_request(cls, request: InferenceRequest) -> Any:
        request_input = cls._only(request.inputs, "input")
        if not has_decoded(request_input) and cls.InputCodec is not None:
            _save_decoded(request_input, cls.InputCodec.decode_input(request_input))
        return get_decoded_or_raw(request_input)

    @classmethod
    def _only(cls, tensors: list[Any], kind: str) -> Any:
        if len(tensors) != 1:
            raise CodecError(
                f"The '{cls.ContentType}' codec only supports a single {kind} tensor ({len(tensors)} were received)"
            )
        return tensors[0]
