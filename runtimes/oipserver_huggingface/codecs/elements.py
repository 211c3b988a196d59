"""Codecs whose elements are texts of their own: what they share."""

from __future__ import annotations

from typing import Any, ClassVar

from oipserver.codecs import CodecError, InputCodec
from oipserver.codecs.lists import as_list
from oipserver.codecs.utils import InputOrOutput, elements_of
from oipserver.types import Parameters, RequestInput, ResponseOutput, TensorData


def texts_of(tensor: InputOrOutput) -> list[str | bytes]:
    """The elements of a BYTES tensor. Raises CodecError where it holds anything else."""
    listed = list(as_list(elements_of(tensor)))
    if not all(isinstance(element, (str, bytes)) for element in listed):
        raise CodecError(f"'{tensor.name}' must hold texts")
    return listed


class ElementsCodec(InputCodec):
    """A codec of BYTES tensors of shape [n, 1]; subclasses say how a value becomes texts, and back."""

    ContentType: ClassVar[str | None] = None

    @classmethod
    def to_texts(cls, payload: Any) -> list[str]:
        """The texts that stand for ``payload``."""
        raise NotImplementedError(f"{cls.__name__} encodes nothing")

    @classmethod
    def from_texts(cls, texts: list[str | bytes], name: str) -> Any:
        """What ``texts`` stand for. Raises CodecError naming the tensor called ``name``."""
        raise NotImplementedError(f"{cls.__name__} decodes nothing")

    @classmethod
    def encode_output(cls, name: str, payload: Any, use_bytes: bool = True, **kwargs: Any) -> ResponseOutput:
        return ResponseOutput(**cls._fields(name, payload, use_bytes))

    @classmethod
    def decode_output(cls, response_output: ResponseOutput) -> Any:
        return cls.from_texts(texts_of(response_output), response_output.name)

    @classmethod
    def encode_input(cls, name: str, payload: Any, use_bytes: bool = True, **kwargs: Any) -> RequestInput:
        return RequestInput(**cls._fields(name, payload, use_bytes))

    @classmethod
    def decode_input(cls, request_input: RequestInput) -> Any:
        return cls.from_texts(texts_of(request_input), request_input.name)

    @classmethod
    def _fields(cls, name: str, payload: Any, use_bytes: bool) -> dict[str, Any]:
        texts = cls.to_texts(payload)
        return {
            "name": name,
            "datatype": "BYTES",
            "shape": [len(texts), 1],
            "data": TensorData([text.encode() for text in texts] if use_bytes else texts),
            "parameters": Parameters(content_type=cls.ContentType),
        }
