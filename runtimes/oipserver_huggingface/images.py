"""Inputs as the images that pipelines take: files, base64 of files, data URIs, or arrays of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from oipserver.codecs import Base64Codec, NumpyCodec
from oipserver.codecs.lists import as_list
from oipserver.codecs.utils import elements_of
from oipserver.errors import InvalidArgumentError
from oipserver.tensor import shape_text
from oipserver.types import RequestInput

from .codecs import PILImageCodec, image_from_bytes
from .codecs.image import DATA_URI, image_from_text

Array = np.ndarray[Any, Any]


def read_images(tensor: RequestInput, content_type: str | None, allow_urls: bool) -> list[Any]:
    """The images of an input.

    BYTES are files, or the base64 of files, or data URIs; with ``allow_urls`` also URLs and paths, which stay texts.
    Numbers are pixels, ``[n, height, width, channels]`` or one image less the ``n``: UINT8, or floats from 0 to 1.
    Raises InvalidArgumentError, CodecError.
    """
    if str(tensor.datatype) != "BYTES":
        return [_from_pixels(pixels, tensor.name) for pixels in _pictures(NumpyCodec.decode_input(tensor), tensor.name)]
    if content_type == PILImageCodec.ContentType:
        images: list[Any] = PILImageCodec.decode_input(tensor)
        return images
    elements = list(as_list(elements_of(tensor)))
    decoded = Base64Codec.decode_input(tensor)
    return [_from_file(*both, tensor.name, allow_urls) for both in zip(elements, decoded, strict=True)]


def _from_file(element: str | bytes, content: bytes, name: str, allow_urls: bool) -> Any:
    text = element if isinstance(element, str) else element[:2048].decode(errors="replace")
    try:
        return (
            image_from_text(text if isinstance(element, str) else element)
            if _is_uri(text)
            else image_from_bytes(content)
        )
    except ValueError as error:
        if allow_urls and text.isprintable():
            return text
        raise InvalidArgumentError(
            f"input '{name}' holds an element that is neither an image file, nor the base64 of one, nor a data URI: "
            f"{error}. URLs and paths are not followed"
        ) from error


def _is_uri(text: str) -> bool:
    return text.startswith(DATA_URI)


def _pictures(array: Array, name: str) -> list[Array]:
    if array.ndim == 4:
        return list(array)
    if array.ndim in (2, 3):
        return [array]
    raise InvalidArgumentError(
        f"unexpected shape for input '{name}'. Expected [n,height,width,channels], got {shape_text(array.shape)}"
    )


def _from_pixels(pixels: Array, name: str) -> Any:
    from PIL import Image

    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype.kind == "f":
        pixels = np.clip(np.rint(pixels * 255), 0, 255)
    elif pixels.dtype != np.uint8 and (pixels.min(initial=0) < 0 or pixels.max(initial=0) > 255):
        raise InvalidArgumentError(f"input '{name}' holds pixels that are not from 0 to 255")
    try:
        return Image.fromarray(np.ascontiguousarray(pixels, dtype=np.uint8))
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"input '{name}' of shape {list(pixels.shape)} holds no image: {error}") from error
