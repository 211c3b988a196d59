"""gzip and deflate, both ways, within bounds; knows headers' values and bytes, no requests."""

from __future__ import annotations

import asyncio
import zlib

from ...errors import InvalidArgumentError, UnsupportedError
from ...tensor.tensor import Buffer
from .reply import Headers, buffer_size

MIN_SIZE = 500  # smaller answers gain nothing
_IN_THREAD = 64 * 1024  # bytes from which (de)compression would hold up the event loop noticeably
_LEVEL = 1  # tensors hardly get smaller at higher levels, but slower
_STEP = 1 << 20
_WINDOW_BITS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}

ACCEPTED: Headers = ((b"accept-encoding", b"gzip, deflate"),)


async def decompressed(body: Buffer, encoding: bytes, limit: int) -> Buffer:
    """``body`` as it was before ``encoding`` (a Content-Encoding) was applied to it.

    Raises UnsupportedError for an encoding that is not spoken here, InvalidArgumentError for a broken body and as soon
    as more than ``limit`` bytes come out.
    """
    name = encoding.strip().lower()
    if name in (b"", b"identity"):
        return body
    bits = _WINDOW_BITS.get(name)
    if bits is None:
        raise UnsupportedError("Unsupported compression type")
    if buffer_size(body) > _IN_THREAD:
        return await asyncio.to_thread(_inflate, body, bits, limit)
    return _inflate(body, bits, limit)


def _inflate(body: Buffer, bits: int, limit: int) -> bytes:
    # Some clients send deflate without the zlib header that HTTP asks for: the first byte tells.
    if bits == 15 and buffer_size(body) and memoryview(body)[0] & 0x0F != 8:
        bits = -15
    engine = zlib.decompressobj(bits)
    parts: list[bytes] = []
    size = 0
    view = memoryview(body).cast("B")
    try:
        for start in range(0, view.nbytes, _STEP):
            rest: Buffer = view[start : start + _STEP]
            while True:
                part = engine.decompress(rest, min(_STEP, limit - size + 1))
                size += len(part)
                if size > limit:
                    raise InvalidArgumentError(
                        f"decompressed request body exceeds the maximum allowed input size of {limit} bytes"
                    )
                parts.append(part)
                rest = engine.unconsumed_tail
                if not rest and not part:
                    break
    except zlib.error as error:
        raise InvalidArgumentError(f"failed to decompress the request body: {error}") from None
    if not engine.eof:
        raise InvalidArgumentError("failed to decompress the request body: it ends too early")
    if engine.unused_data:
        raise InvalidArgumentError("failed to decompress the request body: there is more data behind its end")
    return b"".join(parts)


def choose_encoding(accept: bytes) -> bytes | None:
    """gzip or deflate where ``accept`` (an Accept-Encoding) allows it and does not prefer none; gzip before deflate."""
    weights: dict[bytes, float] = {}
    for item in accept.lower().split(b","):
        name, _, parameters = item.partition(b";")
        weights[name.strip()] = _weight(parameters)
    any_other = weights.get(b"*", 0.0)
    best = max((b"gzip", b"deflate"), key=lambda name: weights.get(name, any_other))
    weight = weights.get(best, any_other)
    return best if weight > 0 and weight >= weights.get(b"identity", 0.0) else None


def _weight(parameters: bytes) -> float:
    name, _, value = parameters.strip().partition(b"=")
    if name.strip() != b"q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


async def compressed(buffers: list[Buffer], encoding: bytes) -> bytes:
    """All of ``buffers``, in a thread where that takes long."""
    if sum(map(buffer_size, buffers)) > _IN_THREAD:
        return await asyncio.to_thread(_deflate, buffers, encoding)
    return _deflate(buffers, encoding)


def _deflate(buffers: list[Buffer], encoding: bytes) -> bytes:
    engine = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS[encoding])
    parts = [engine.compress(buffer) for buffer in buffers]
    parts.append(engine.flush())
    return b"".join(parts)
