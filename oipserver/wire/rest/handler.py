"""The infer route: headers and body in, a whole reply out; knows no server, no framework and no socket."""

from __future__ import annotations

import logging
from functools import lru_cache
from urllib.parse import unquote

from ...errors import InvalidArgumentError, NotFoundError, OIPError, UnsupportedError
from ...plane import DataPlane
from ...protocol import InferRequest, InferResponse
from ...protocol.binary_form import OutputForm
from ...protocol.v2_binary import json_length, read_binary_request, read_raw_request, write_buffers
from ...protocol.v2_json import read_request
from ...settings import Settings
from ...tensor.tensor import Buffer
from .client import too_large
from .compression import ACCEPTED, MIN_SIZE, choose_encoding, compressed, decompressed
from .errors import INTERNAL_MESSAGE, error_reply, message_reply
from .headers import HeaderView, RawHeaders
from .reply import JSON, OCTET_STREAM, Headers, Reply, safe_headers

_log = logging.getLogger(__name__)

_PREFIX = b"/v2/models/"
_SUFFIX = b"/infer"
_JSON_START = 64  # bytes in which JSON shows its first brace
READ_HEADERS = frozenset({b"content-encoding", b"accept-encoding", b"inference-header-content-length", b"content-type"})


@lru_cache(maxsize=1024)
def match_infer_path(path: bytes) -> tuple[str, str] | None:
    """Name and version (or "") of the model where ``path``, still percent-encoded, is that of an infer route."""
    if not path.startswith(_PREFIX) or not path.endswith(_SUFFIX):
        return None
    parts = path[len(_PREFIX) : -len(_SUFFIX)].split(b"/")
    if len(parts) == 3 and parts[1] == b"versions" and parts[2]:
        return unquote(parts[0].decode("latin-1")), unquote(parts[2].decode("latin-1"))
    return (unquote(parts[0].decode("latin-1")), "") if len(parts) == 1 else None


def check_model_name(name: str) -> None:
    """Raises NotFoundError for what cannot be a model's name."""
    if not name.strip() or name in (".", "..") or "/" in name or "\\" in name:
        raise NotFoundError(f"Request for unknown model: '{name}' is not a model name")


class InferHandler:
    """Answers inference requests whose bytes are all there."""

    def __init__(self, data_plane: DataPlane, settings: Settings) -> None:
        self._data_plane = data_plane
        self._limit = settings.http_max_body_bytes
        self._gzip = settings.gzip_enabled
        self._nan_as_null = settings.json_nan_as_null

    async def handle(self, name: str, version: str, headers: RawHeaders, body: Buffer) -> Reply:
        """The reply to an infer request. Raises nothing but cancellation."""
        try:
            read = {key: value for key, value in headers if key in READ_HEADERS}
            request, form = await self.read(name, version, headers, read, body)
            response = await self._data_plane.infer(request)
            buffers, length = write_buffers(response, form, nan_as_null=self._nan_as_null)
            reply = Reply(200, _reply_headers(response, length), buffers)
            accept = read.get(b"accept-encoding")
            return reply if accept is None or not self._gzip else await _compress(reply, accept)
        except UnsupportedError as error:
            return error_reply(error, ACCEPTED if b"content-encoding" in read else ())
        except OIPError as error:
            return error_reply(error)
        except Exception:
            _log.exception("an infer request for model '%s' failed", name)
            return message_reply(500, INTERNAL_MESSAGE)

    async def read(
        self, name: str, version: str, headers: RawHeaders, read: dict[bytes, bytes], body: Buffer
    ) -> tuple[InferRequest, OutputForm | None]:
        """The request in ``body``; ``read`` holds the headers that say how to read it. Raises OIPError."""
        check_model_name(name)
        if b"content-encoding" in read:
            body = await decompressed(body, read[b"content-encoding"], self._limit)
        view = HeaderView(headers)
        size = len(body)
        header = read.get(b"inference-header-content-length")
        if header is not None:
            length = json_length(header, size)
        elif size == 0 or _is_raw(read.get(b"content-type", b""), body):
            length = 0
        else:
            return read_request(body, name, version, view)
        if length == 0:
            return read_raw_request(body, self._data_plane.model_metadata(name, version), version, view)
        return read_binary_request(body, length, name, version, view)

    def refuse_size(self, size: int) -> Reply:
        """The reply to a body of ``size`` bytes or more, which is too large to be read at all."""
        return error_reply(too_large(size, self._limit))

    def refuse_chunks(self, limit: int) -> Reply:
        """The reply to a body in more than ``limit`` pieces."""
        return error_reply(
            InvalidArgumentError(
                f"Chunked request body exceeds maximum of {limit} non-empty chunks. Send fewer or larger HTTP chunks."
            )
        )


def _is_raw(content_type: bytes, body: Buffer) -> bool:
    """Whether ``body`` is raw tensor data. Some clients call everything an octet stream, so JSON is looked for too."""
    if not content_type.startswith(b"application/octet-stream"):
        return False
    start = bytes(memoryview(body)[:_JSON_START]).lstrip()
    return not (start.startswith(b"{") and b'"inputs"' in bytes(body))


def _reply_headers(response: InferResponse, length: int | None) -> Headers:
    headers = JSON
    if length is not None:
        headers = (*OCTET_STREAM, (b"inference-header-content-length", b"%d" % length))
    return headers + safe_headers(response.headers) if response.headers else headers


async def _compress(reply: Reply, accept: bytes) -> Reply:
    if reply.size < MIN_SIZE:
        return reply
    encoding = choose_encoding(accept)
    if encoding is None:
        return reply
    body = await compressed(reply.buffers, encoding)
    return Reply(reply.status, (*reply.headers, (b"content-encoding", encoding), (b"vary", b"Accept-Encoding")), [body])
