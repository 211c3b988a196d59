"""Content types ``hg_json`` and ``hg_jsonlist``: JSON texts whose images are data URIs."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from oipserver.codecs import CodecError, register_input_codec
from oipserver.codecs.lists import is_list_of

from .elements import ElementsCodec
from .image import DATA_URI, data_uri, image_from_text, is_image


def json_encode(payload: Any) -> str:
    """``payload`` as JSON: arrays and tensors are lists, images are data URIs."""
    return json.dumps(payload, default=_plain)


def _plain(value: Any) -> Any:
    if is_image(value):
        return data_uri(value)
    if hasattr(value, "tolist"):  # arrays and scalars of numpy, tensors of torch
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def json_decode(text: str | bytes) -> Any:
    """What ``json_encode`` has encoded. Raises ValueError."""
    return _with_images(json.loads(text))


def _with_images(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_images(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_images(item) for item in value]
    return image_from_text(value) if isinstance(value, str) and value.startswith(DATA_URI) else value


def _decoded(text: str | bytes, name: str) -> Any:
    try:
        return json_decode(text)
    except (ValueError, RecursionError) as error:
        raise CodecError(f"'{name}' holds an element that is not JSON: {error}") from error


@register_input_codec
class HuggingfaceSingleJSONCodec(ElementsCodec):
    """One dictionary as one JSON text."""

    ContentType: ClassVar[str | None] = "hg_json"

    @classmethod
    def can_encode(cls, payload: Any) -> bool:
        return isinstance(payload, dict)

    @classmethod
    def to_texts(cls, payload: Any) -> list[str]:
        return [json_encode(payload)]

    @classmethod
    def from_texts(cls, texts: list[str | bytes], name: str) -> Any:
        if len(texts) != 1:
            raise CodecError(f"'{name}' must hold one JSON text, it holds {len(texts)}")
        return _decoded(texts[0], name)


@register_input_codec
class HuggingfaceListJSONCodec(ElementsCodec):
    """A list as one JSON text for each element."""

    ContentType: ClassVar[str | None] = "hg_jsonlist"

    @classmethod
    def can_encode(cls, payload: Any) -> bool:
        return is_list_of(payload, dict)

    @classmethod
    def to_texts(cls, payload: Any) -> list[str]:
        return [json_encode(element) for element in payload]

    @classmethod
    def from_texts(cls, texts: list[str | bytes], name: str) -> Any:
        return [_decoded(text, name) for text in texts]
