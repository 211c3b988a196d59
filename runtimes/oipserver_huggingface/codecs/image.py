"""Content type ``pillow_image``: images as the base64 of their files; Pillow is imported only when one is made."""

from __future__ import annotations

import base64
import binascii
import io
import sys
from typing import Any, ClassVar

from oipserver.codecs import CodecError, register_input_codec

from .elements import ElementsCodec

#: How images in JSON begin.
DATA_URI = "data:image/"
_DEFAULT_FORMAT = "PNG"


def is_image(value: Any) -> bool:
    """Whether ``value`` is a Pillow image."""
    pillow = sys.modules.get("PIL.Image")  # nobody has one who has not imported it
    return pillow is not None and isinstance(value, pillow.Image)


def image_from_bytes(content: bytes) -> Any:
    """The image in the file ``content``. Raises ValueError where there is none."""
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"no image of a known format ({len(content)} bytes)") from error
    return image


def image_from_text(text: str | bytes) -> Any:
    """The image whose file ``text`` is the base64 or the data URI of. Raises ValueError."""
    plain = text.decode("ascii") if isinstance(text, bytes) else text
    if plain.startswith(DATA_URI):
        plain = plain.partition(",")[2]
    try:
        content = base64.b64decode(plain, validate=True)
    except binascii.Error as error:
        raise ValueError(f"no base64: {error}") from error
    return image_from_bytes(content)


def data_uri(image: Any) -> str:
    """``image`` as a data URI, in the format it came in, else as PNG."""
    form = image.format or _DEFAULT_FORMAT
    return f"{DATA_URI}{form.lower()};base64,{_base64(image)}"


def _base64(image: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format=image.format or _DEFAULT_FORMAT)
    return base64.b64encode(buffer.getvalue()).decode()


@register_input_codec
class PILImageCodec(ElementsCodec):
    """Pillow images as the base64 of their files."""

    ContentType: ClassVar[str | None] = "pillow_image"

    @classmethod
    def can_encode(cls, payload: Any) -> bool:
        return isinstance(payload, list) and bool(payload) and all(map(is_image, payload))

    @classmethod
    def to_texts(cls, payload: Any) -> list[str]:
        return [_base64(image) for image in payload]

    @classmethod
    def from_texts(cls, texts: list[str | bytes], name: str) -> Any:
        try:
            return [image_from_text(text) for text in texts]
        except ValueError as error:
            raise CodecError(f"'{name}' holds an element that is no image in base64: {error}") from error
