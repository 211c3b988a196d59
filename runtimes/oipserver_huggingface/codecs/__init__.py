"""The content types of pipelines: ``hf`` for requests, and those of their inputs."""

from __future__ import annotations

from .conversation import HuggingfaceConversationCodec
from .image import PILImageCodec, image_from_bytes
from .json import HuggingfaceListJSONCodec, HuggingfaceSingleJSONCodec, json_decode, json_encode
from .numpy_list import NumpyListCodec
from .raw import RawCodec
from .request import HuggingfaceRequestCodec, decode_value

__all__ = [
    "HuggingfaceConversationCodec",
    "HuggingfaceListJSONCodec",
    "HuggingfaceRequestCodec",
    "HuggingfaceSingleJSONCodec",
    "NumpyListCodec",
    "PILImageCodec",
    "RawCodec",
    "decode_value",
    "image_from_bytes",
    "json_decode",
    "json_encode",
]
