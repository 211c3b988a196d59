"""What a codec is, and the registry that finds one by content type, payload or type hint."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache
from typing import Any, ClassVar, TypeVar

from ..types import InferenceRequest, InferenceResponse, RequestInput, ResponseOutput
from .hints import canonical

_log = logging.getLogger(__name__)


@cache  # once for each is enough: models call them in every request
def _former_name(codec: str, former: str, name: str) -> None:
    _log.warning("DEPRECATED: %s.%s is the former name of %s", codec, former, name)


class InputCodec:
    """Turns one input or output into a Python value and back.

    Subclasses set ``ContentType``, and ``TypeHint`` to be found by annotations. Codecs are used as classes; an instance
    with the same methods serves as well.
    """

    ContentType: ClassVar[str | None] = None
    TypeHint: ClassVar[Any] = None
    #: Further hints that mean this codec.
    OtherTypeHints: ClassVar[tuple[Any, ...]] = ()

    @classmethod
    def can_encode(cls, payload: Any) -> bool:
        """Whether ``payload`` is of the kind this codec encodes."""
        return False

    @classmethod
    def encode_output(cls, name: str, payload: Any, **kwargs: Any) -> ResponseOutput:
        """An output called ``name`` that carries ``payload``. Raises CodecError."""
        raise NotImplementedError(f"{cls.__name__} encodes no outputs")

    @classmethod
    def decode_output(cls, response_output: ResponseOutput) -> Any:
        """The value an output carries. Raises CodecError."""
        raise NotImplementedError(f"{cls.__name__} decodes no outputs")

    @classmethod
    def encode_input(cls, name: str, payload: Any, **kwargs: Any) -> RequestInput:
        """An input called ``name`` that carries ``payload``. Raises CodecError."""
        raise NotImplementedError(f"{cls.__name__} encodes no inputs")

    @classmethod
    def decode_input(cls, request_input: RequestInput) -> Any:
        """The value an input carries. Raises CodecError."""
        raise NotImplementedError(f"{cls.__name__} decodes no inputs")

    @classmethod
    def encode(cls, name: str, payload: Any, **kwargs: Any) -> ResponseOutput:
        """The former name of ``encode_output``."""
        _former_name(cls.__name__, "encode", "encode_output")
        return cls.encode_output(name, payload, **kwargs)

    @classmethod
    def decode(cls, request_input: RequestInput) -> Any:
        """The former name of ``decode_input``."""
        _former_name(cls.__name__, "decode", "decode_input")
        return cls.decode_input(request_input)


class RequestCodec:
    """Turns a whole request or response into one Python value and back."""

    ContentType: ClassVar[str | None] = None
    TypeHint: ClassVar[Any] = None
    #: Further hints that mean this codec.
    OtherTypeHints: ClassVar[tuple[Any, ...]] = ()

    @classmethod
    def can_encode(cls, payload: Any) -> bool:
        """Whether ``payload`` is of the kind this codec encodes."""
        return False

    @classmethod
    def encode_response(
        cls, model_name: str, payload: Any, model_version: str | None = None, **kwargs: Any
    ) -> InferenceResponse:
        """A response of ``model_name`` that carries ``payload``. Raises CodecError."""
        raise NotImplementedError(f"{cls.__name__} encodes no responses")

    @classmethod
    def decode_response(cls, response: InferenceResponse) -> Any:
        """The value a response carries. Raises CodecError."""
        raise NotImplementedError(f"{cls.__name__} decodes no responses")

    @classmethod
    def encode_request(cls, payload: Any, **kwargs: Any) -> InferenceRequest:
        """A request that carries ``payload``. Raises CodecError."""
        raise NotImplementedError(f"{cls.__name__} encodes no requests")

    @classmethod
    def decode_request(cls, request: InferenceRequest) -> Any:
        """The value a request carries. Raises CodecError."""
        raise NotImplementedError(f"{cls.__name__} decodes no requests")

    @classmethod
    def encode(cls, model_name: str, payload: Any, model_version: str | None = None) -> InferenceResponse:
        """The former name of ``encode_response``."""
        _former_name(cls.__name__, "encode", "encode_response")
        return cls.encode_response(model_name, payload, model_version)

    @classmethod
    def decode(cls, request: InferenceRequest) -> Any:
        """The former name of ``decode_request``."""
        _former_name(cls.__name__, "decode", "decode_request")
        return cls.decode_request(request)


InputCodecLike = type[InputCodec] | InputCodec
RequestCodecLike = type[RequestCodec] | RequestCodec

_InputT = TypeVar("_InputT", bound=InputCodecLike)
_RequestT = TypeVar("_RequestT", bound=RequestCodecLike)
_AnyCodec = TypeVar("_AnyCodec", InputCodecLike, RequestCodecLike)


class _CodecRegistry:
    """Codecs by content type, in the order in which they were registered; the server's own is ``_codec_registry``."""

    def __init__(self) -> None:
        self._input_codecs: dict[str, InputCodecLike] = {}
        self._request_codecs: dict[str, RequestCodecLike] = {}

    def register_input_codec(self, content_type: str, codec: InputCodecLike) -> None:
        """Make an input codec known under ``content_type``, replacing the one that had it."""
        self._input_codecs[content_type] = codec

    def register_request_codec(self, content_type: str, codec: RequestCodecLike) -> None:
        """Make a request codec known under ``content_type``, replacing the one that had it."""
        self._request_codecs[content_type] = codec

    def find_input_codec(
        self, content_type: str | None = None, payload: Any = None, type_hint: Any = None
    ) -> InputCodecLike | None:
        """The input codec of the first of these that is given; None where there is none."""
        if content_type:
            return self._input_codecs.get(content_type)
        if payload is not None:
            return self.find_input_codec_by_payload(payload)
        return self.find_input_codec_by_type_hint(type_hint) if type_hint is not None else None

    def find_input_codec_by_payload(self, payload: Any) -> InputCodecLike | None:
        """The first registered input codec that can encode ``payload``."""
        return _by_payload(payload, self._input_codecs.values())

    def find_input_codec_by_type_hint(self, type_hint: Any) -> InputCodecLike | None:
        """The first registered input codec for values annotated with ``type_hint``."""
        return _by_type_hint(type_hint, self._input_codecs.values())

    def find_request_codec(
        self, content_type: str | None = None, payload: Any = None, type_hint: Any = None
    ) -> RequestCodecLike | None:
        """The request codec of the first of these that is given; None where there is none."""
        if content_type:
            return self._request_codecs.get(content_type)
        if payload is not None:
            return self.find_request_codec_by_payload(payload)
        return self.find_request_codec_by_type_hint(type_hint) if type_hint is not None else None

    def find_request_codec_by_payload(self, payload: Any) -> RequestCodecLike | None:
        """The first registered request codec that can encode ``payload``."""
        return _by_payload(payload, self._request_codecs.values())

    def find_request_codec_by_type_hint(self, type_hint: Any) -> RequestCodecLike | None:
        """The first registered request codec for values annotated with ``type_hint``."""
        return _by_type_hint(type_hint, self._request_codecs.values())


_codec_registry = _CodecRegistry()

find_input_codec = _codec_registry.find_input_codec
find_input_codec_by_payload = _codec_registry.find_input_codec_by_payload
find_input_codec_by_type_hint = _codec_registry.find_input_codec_by_type_hint
find_request_codec = _codec_registry.find_request_codec
find_request_codec_by_payload = _codec_registry.find_request_codec_by_payload
find_request_codec_by_type_hint = _codec_registry.find_request_codec_by_type_hint


def register_input_codec(codec: _InputT) -> _InputT:
    """Class decorator: make an input codec known under its content type, replacing the one that had it."""
    if codec.ContentType is not None:
        _codec_registry.register_input_codec(codec.ContentType, codec)
    return codec


def register_request_codec(codec: _RequestT) -> _RequestT:
    """Class decorator: make a request codec known under its content type, replacing the one that had it."""
    if codec.ContentType is not None:
        _codec_registry.register_request_codec(codec.ContentType, codec)
    return codec


def _by_payload(payload: Any, codecs: Iterable[_AnyCodec]) -> _AnyCodec | None:
    for codec in codecs:
        if codec.can_encode(payload):
            return codec
    _log.debug("no codec encodes a payload of type %s", type(payload))
    return None


def _by_type_hint(type_hint: Any, codecs: Iterable[_AnyCodec]) -> _AnyCodec | None:
    wanted = canonical(type_hint)
    for codec in codecs:
        if wanted in _hints_of(codec):
            return codec
    return None


def _hints_of(codec: InputCodecLike | RequestCodecLike) -> list[Any]:
    return [canonical(hint) for hint in (codec.TypeHint, *codec.OtherTypeHints) if hint is not None]
