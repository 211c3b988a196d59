"""Content type ``hf``: a request as the arguments of a pipeline, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from oipserver.codecs import (
    CodecError,
    InputCodecLike,
    NumpyCodec,
    RequestCodec,
    StringCodec,
    register_request_codec,
)
from oipserver.codecs.base import find_input_codec, find_input_codec_by_payload
from oipserver.codecs.utils import InputOrOutput
from oipserver.types import InferenceRequest, InferenceResponse, Parameters, RequestInput

from .conversation import HuggingfaceConversationCodec
from .image import PILImageCodec
from .json import HuggingfaceListJSONCodec, HuggingfaceSingleJSONCodec
from .numpy_list import NumpyListCodec
from .raw import RawCodec

_FIRST: tuple[InputCodecLike, ...] = (
    PILImageCodec,
    HuggingfaceSingleJSONCodec,
    HuggingfaceListJSONCodec,
    HuggingfaceConversationCodec,
    NumpyListCodec,
)


def decode_value(tensor: RequestInput, content_type: str | None = None) -> Any:
    """The value of an input: by its own content type, else ``content_type``, else by its datatype.

    Text is a list of ``str``, one number is that number, several are a list. Raises CodecError.
    """
    own = tensor.parameters.content_type if tensor.parameters else None
    codec = find_input_codec(own) or find_input_codec(content_type)
    if codec is not None:
        return codec.decode_input(tensor)
    if str(tensor.datatype) == "BYTES":
        return StringCodec.decode_input(tensor)
    numbers = NumpyCodec.decode_input(tensor)
    return numbers.item() if numbers.size == 1 else numbers.tolist()


def _decoded_output(tensor: InputOrOutput) -> Any:
    own = tensor.parameters.content_type if tensor.parameters else None
    codec: InputCodecLike = find_input_codec(own) or StringCodec
    return codec.decode_output(tensor)  # type: ignore[arg-type]  # outputs alone come here


@register_request_codec
class HuggingfaceRequestCodec(RequestCodec):
    """The inputs of a request as the arguments of a pipeline, each by its content type; an answer is a JSON list.

    It is found by its content type alone: by the type of a value, it would take the lists of every other model here.
    """

    ContentType: ClassVar[str | None] = "hf"

    @classmethod
    def encode_request(cls, payload: Mapping[str, Any], **kwargs: Any) -> InferenceRequest:
        inputs = []
        for name, value in payload.items():
            codec = _codec_for(value)
            if codec is None:
                raise CodecError(f"argument '{name}' is a {type(value).__name__}, which no codec encodes")
            inputs.append(codec.encode_input(name, value, **kwargs))
        return InferenceRequest(parameters=Parameters(content_type=cls.ContentType), inputs=inputs)

    @classmethod
    def decode_request(cls, request: InferenceRequest) -> dict[str, Any]:
        return {tensor.name: decode_value(tensor) for tensor in request.inputs}

    @classmethod
    def encode_response(
        cls, model_name: str, payload: Any, model_version: str | None = None, **kwargs: Any
    ) -> InferenceResponse:
        listed = payload if isinstance(payload, list) else [payload]
        output = HuggingfaceListJSONCodec.encode_output("output", listed, **kwargs)
        return InferenceResponse(model_name=model_name, model_version=model_version, outputs=[output])

    @classmethod
    def decode_response(cls, response: InferenceResponse) -> Any:
        return {tensor.name: _decoded_output(tensor) for tensor in response.outputs}


def _codec_for(value: Any) -> InputCodecLike | None:
    for codec in _FIRST:
        if codec.can_encode(value):
            return codec
    if RawCodec.takes(value):
        return RawCodec
    return find_input_codec_by_payload(value)
