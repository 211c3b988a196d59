"""A whole HTTP answer as plain data, and its head as bytes; knows no server and no framework."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

from ...tensor.tensor import Buffer

Headers = tuple[tuple[bytes, bytes], ...]

JSON: Headers = ((b"content-type", b"application/json"),)
OCTET_STREAM: Headers = ((b"content-type", b"application/octet-stream"),)

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
# The server's own to say: a model's word for them would contradict the message that carries it.
_FRAMING = frozenset({"connection", "content-length", "content-type", "content-encoding", "transfer-encoding"})
_OK_JSON = _STATUS_LINES[200] + b"content-type: application/json\r\n"


class Reply:
    """Status, headers (lower-case names, without content-length) and body buffers of one answer."""

    __slots__ = ("buffers", "headers", "status")

    def __init__(self, status: int, headers: Headers, buffers: list[Buffer]) -> None:
        self.status = status
        self.headers = headers
        self.buffers = buffers

    @property
    def size(self) -> int:
        """Bytes of the body."""
        buffers = self.buffers
        if len(buffers) == 1:
            return len(buffers[0]) if type(buffers[0]) is bytes else buffer_size(buffers[0])
        return sum(map(buffer_size, buffers))


def buffer_size(buffer: Buffer) -> int:
    """Bytes of ``buffer``."""
    return buffer.nbytes if isinstance(buffer, memoryview) else len(buffer)


def render_head(reply: Reply, size: int, extra: bytes) -> bytes:
    """Everything of an HTTP/1.1 answer before its body; ``extra`` holds complete header lines."""
    if reply.status == 200 and reply.headers is JSON:
        return b"%bcontent-length: %d\r\n%b\r\n" % (_OK_JSON, size, extra)
    lines = b"".join([b"%b: %b\r\n" % header for header in reply.headers])
    start = _STATUS_LINES.get(reply.status) or b"HTTP/1.1 %d \r\n" % reply.status
    return b"%b%bcontent-length: %d\r\n%b\r\n" % (start, lines, size, extra)


def safe_headers(headers: Mapping[str, str]) -> Headers:
    """Headers a model gave, as they may be sent: those that are no legal header or would break the message are left
    out."""
    return tuple(
        (name.lower().encode(), str(value).encode("latin-1"))
        for name, value in headers.items()
        if _TOKEN.fullmatch(name) and _VALUE.fullmatch(str(value)) and name.lower() not in _FRAMING
    )
