"""How a neutral error looks on the REST wire: its status, its body and its headers."""

from __future__ import annotations

from math import ceil

import orjson

from ...errors import Code, DecoupledModelError, OIPError
from .reply import JSON, Headers, Reply

STATUS: dict[Code, int] = {
    Code.INVALID_ARGUMENT: 400,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.CANCELLED: 499,
    Code.INTERNAL: 500,
    Code.UNSUPPORTED: 501,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
}

INTERNAL_MESSAGE = "internal server error"
_DECOUPLED = "HTTP end point doesn't support models with decoupled transaction policy"


def error_body(message: str) -> bytes:
    """The body of every REST error."""
    try:
        return orjson.dumps({"error": message})
    except orjson.JSONEncodeError:  # a name with half of a surrogate pair, percent-encoded by a client
        return orjson.dumps({"error": message.encode("utf-8", "replace").decode()})


def error_headers(error: OIPError) -> Headers:
    """Headers that belong to ``error`` beside its content type."""
    if error.retry_after is None:
        return ()
    return ((b"retry-after", b"%d" % max(1, ceil(error.retry_after))),)


def message_reply(status: int, message: str, headers: Headers = ()) -> Reply:
    """A reply of ``{"error": message}``."""
    return Reply(status, JSON + headers, [error_body(message)])


def error_reply(error: OIPError, headers: Headers = ()) -> Reply:
    """The reply that tells ``error``."""
    message = _DECOUPLED if isinstance(error, DecoupledModelError) else error.message
    return message_reply(error.status_code or STATUS[error.code], message, error_headers(error) + headers)
