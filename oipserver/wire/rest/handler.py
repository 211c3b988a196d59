"""The infer route: headers and body in, a whole reply out; knows no server, no framework and no socket."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Coroutine
from functools import lru_cache, partial
from typing import Any
from urllib.parse import parse_qs, unquote

from ...errors import InvalidArgumentError, OIPError, UnsupportedError
from ...plane import DataPlane
from ...protocol import InferRequest, InferResponse, Pending
from ...protocol.binary_form import OutputForm
from ...protocol.v2_binary import json_length, read_binary_request, read_raw_request, write_buffers
from ...protocol.v2_json import read_request
from ...settings import Settings
from ...tensor.tensor import Buffer
from ..names import check_model_name
from .client import too_large
from .compression import ACCEPTED, MIN_SIZE, choose_encoding, compressed, decompressed
from .errors import INTERNAL_MESSAGE, error_reply, message_reply
from .headers import HeaderView
from .pending import PendingReply
from .reply import JSON, OCTET_STREAM, Headers, Reply, safe_headers

_log = logging.getLogger(__name__)

_PREFIX = b"/v2/models/"
_SUFFIX = b"/infer"
_JSON_START = 64  # bytes in which JSON shows its first brace
_INPUTS = re.compile(rb'"inputs"')  # searches any buffer where it lies
#: A reply, or what leads to one: a coroutine, or something that tells.
Begun = Reply | PendingReply | Coroutine[Any, Any, Reply]


@lru_cache(maxsize=1024)
def match_infer_path(path: bytes) -> tuple[str, str] | None:
    """Name and version (or "") of the model where ``path``, still percent-encoded, is that of an infer route."""
    if not path.startswith(_PREFIX) or not path.endswith(_SUFFIX):
        return None
    parts = path[len(_PREFIX) : -len(_SUFFIX)].split(b"/")
    if len(parts) == 3 and parts[1] == b"versions" and parts[2]:
        return unquote(parts[0].decode("latin-1")), unquote(parts[2].decode("latin-1"))
    return (unquote(parts[0].decode("latin-1")), "") if len(parts) == 1 else None


def version_in_query(query: bytes) -> str:
    """The model version that a query string names, "" for none: where the path has none it counts, as with MLServer."""
    if b"model_version=" not in query:
        return ""
    return parse_qs(query.decode("latin-1")).get("model_version", [""])[-1]


def match_infer_url(url: bytes, root: bytes) -> tuple[str, str] | None:
    """As match_infer_path, of a URL below the path ``root``, perhaps with a query."""
    path, _, query = url.partition(b"?")
    target = match_infer_path(path[len(root) :] if root and path.startswith(root + b"/") else path)
    return target if target is None or target[1] else (target[0], version_in_query(query))


class InferHandler:
    """Answers inference requests whose bytes are all there."""

    def __init__(self, data_plane: DataPlane, settings: Settings) -> None:
        self._data_plane = data_plane
        self._limit = settings.http_max_body_bytes
        self._gzip = settings.gzip_enabled
        self._nan_as_null = settings.json_nan_as_null

    async def handle(self, name: str, version: str, headers: HeaderView, body: Buffer) -> Reply:
        """The reply to an infer request. Raises nothing but cancellation."""
        reply = self.begin(name, version, headers, body)
        return reply if isinstance(reply, Reply) else await reply

    def begin(self, name: str, version: str, headers: HeaderView, body: Buffer) -> Begun:
        """The reply to an infer request that has nothing to wait for; else what is to be awaited, at once, for it.

        Must be called on the loop. Nothing raises anything but cancellation.
        """
        if b"content-encoding" in headers.form:
            return self._decompress(name, version, headers, body)
        return self._begin(name, version, headers, body)

    def _begin(self, name: str, version: str, headers: HeaderView, body: Buffer) -> Begun:
        try:
            request, form = self._parse(name, version, headers, body)
            plane = self._data_plane if request.regions is None else self._data_plane.over_regions
            response = plane.begin(request)
            if isinstance(response, Pending):
                return PendingReply(response, partial(self._made, form, name, headers))
            if not isinstance(response, InferResponse):
                return self._wait(response, form, name, headers)
        except Exception as error:
            return _failure(error, name, headers)
        return self._made(form, name, headers, response)

    def _made(
        self, form: OutputForm | None, name: str, headers: HeaderView, outcome: InferResponse | Exception
    ) -> Reply | Coroutine[Any, Any, Reply]:
        """The reply that tells ``outcome``; where it is to be compressed, what is to be awaited for it."""
        if not isinstance(outcome, InferResponse):
            return _failure(outcome, name, headers)
        try:
            reply = self._reply(outcome, form)
        except Exception as error:
            return _failure(error, name, headers)
        encoding = self._encoding(reply, headers)
        return reply if encoding is None else _compress(reply, encoding, name, headers)

    async def _decompress(self, name: str, version: str, headers: HeaderView, body: Buffer) -> Reply:
        try:
            body = await decompressed(body, headers.form[b"content-encoding"], self._limit)
        except Exception as error:
            return _failure(error, name, headers)
        reply = self._begin(name, version, headers, body)
        return reply if isinstance(reply, Reply) else await reply

    async def _wait(
        self, response: Awaitable[InferResponse], form: OutputForm | None, name: str, headers: HeaderView
    ) -> Reply:
        try:
            outcome = await response
        except Exception as error:
            return _failure(error, name, headers)
        reply = self._made(form, name, headers, outcome)
        return reply if isinstance(reply, Reply) else await reply

    async def read(
        self, name: str, version: str, headers: HeaderView, body: Buffer
    ) -> tuple[InferRequest, OutputForm | None]:
        """The request in ``body``; Raises OIPError."""
        if b"content-encoding" in headers.form:
            body = await decompressed(body, headers.form[b"content-encoding"], self._limit)
        return self._parse(name, version, headers, body)

    async def json_of(self, headers: HeaderView, body: Buffer) -> Buffer | None:
        """The body where it is nothing but JSON; None where binary data follow or it is none. Raises OIPError."""
        if b"inference-header-content-length" in headers.form:
            return None
        if b"content-encoding" in headers.form:
            body = await decompressed(body, headers.form[b"content-encoding"], self._limit)
        return None if _is_raw(headers.form.get(b"content-type", b""), body) else body

    def _parse(
        self, name: str, version: str, headers: HeaderView, body: Buffer
    ) -> tuple[InferRequest, OutputForm | None]:
        check_model_name(name)
        size = len(body)
        header = headers.form.get(b"inference-header-content-length")
        if header is not None:
            length = json_length(header, size)
        elif size == 0 or _is_raw(headers.form.get(b"content-type", b""), body):
            length = 0
        else:
            return read_request(body, name, version, headers)
        if length == 0:
            return read_raw_request(body, self._data_plane.model_metadata(name, version), version, headers)
        return read_binary_request(body, length, name, version, headers)

    async def in_wanted_encoding(self, reply: Reply, headers: HeaderView) -> Reply:
        """``reply``, compressed where the client accepts that and it pays."""
        encoding = self._encoding(reply, headers)
        return reply if encoding is None else await _compress(reply, encoding, "", headers)

    def forwarded(self, request: InferRequest) -> InferRequest:
        """``request`` with what its headers add to it: nothing, unless a setting says so."""
        return request

    def _reply(self, response: InferResponse, form: OutputForm | None) -> Reply:
        buffers, length = write_buffers(response, form, nan_as_null=self._nan_as_null)
        return Reply(200, _reply_headers(response, length), buffers)

    def _encoding(self, reply: Reply, headers: HeaderView) -> bytes | None:
        """How ``reply`` is to be compressed, if at all."""
        accept = headers.form.get(b"accept-encoding")
        if accept is None or not self._gzip or reply.size < MIN_SIZE:
            return None
        return choose_encoding(accept)

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
    return not start.startswith(b"{") or _INPUTS.search(body) is None


def _reply_headers(response: InferResponse, length: int | None) -> Headers:
    headers = JSON
    if length is not None:
        headers = (*OCTET_STREAM, (b"inference-header-content-length", b"%d" % length))
    return headers + safe_headers(response.headers) if response.headers else headers


def _failure(error: Exception, name: str, headers: HeaderView) -> Reply:
    """The reply that tells ``error``; what nobody expected is logged, and the client told no more than that."""
    if isinstance(error, OIPError):
        unknown_encoding = isinstance(error, UnsupportedError) and b"content-encoding" in headers.form
        return error_reply(error, ACCEPTED if unknown_encoding else ())
    _log.error("an infer request for model '%s' failed", name, exc_info=error)
    return message_reply(500, INTERNAL_MESSAGE)


async def _compress(reply: Reply, encoding: bytes, name: str, headers: HeaderView) -> Reply:
    try:
        body = await compressed(reply.buffers, encoding)
    except Exception as error:
        return _failure(error, name, headers)
    return Reply(reply.status, (*reply.headers, (b"content-encoding", encoding), (b"vary", b"Accept-Encoding")), [body])
