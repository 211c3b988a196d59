"""The one table from the neutral codes to gRPC's, and what travels in the trailing metadata."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from re import compile as pattern

import grpc

from ...errors import Code, OIPError

Metadata = tuple[tuple[str, str], ...]

STATUS: dict[Code, grpc.StatusCode] = {
    Code.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    Code.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Code.ALREADY_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Code.RESOURCE_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.CANCELLED: grpc.StatusCode.CANCELLED,
    Code.INTERNAL: grpc.StatusCode.INTERNAL,
    Code.UNSUPPORTED: grpc.StatusCode.UNIMPLEMENTED,
    Code.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Code.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
}

# Clients refuse the whole answer when its metadata exceed 8 KiB, and non-ASCII text triples in size on the wire.
_MAX_DETAILS = 2000
_KEY = pattern(r"(?!grpc-)[0-9a-z_.-]*[0-9a-z_.](?<!-bin)")
_VALUE = pattern(r"[\x20-\x7e]*")


def details(message: str) -> str:
    """An error's message as the status details may carry it."""
    return message if len(message) <= _MAX_DETAILS else message[: _MAX_DETAILS - 3] + "..."


def retry_metadata(error: OIPError) -> Metadata:
    """When to try again, for people and proxies (seconds) and for gRPC clients that retry by themselves (ms)."""
    if error.retry_after is None:
        return ()
    return (
        ("retry-after", str(ceil(error.retry_after))),
        ("grpc-retry-pushback-ms", str(ceil(error.retry_after * 1000))),
    )


def response_metadata(headers: Mapping[str, str]) -> Metadata:
    """A response's headers as metadata; those that metadata cannot carry are left out."""
    pairs = ((key.lower(), str(value)) for key, value in headers.items())
    return tuple((key, value) for key, value in pairs if _KEY.fullmatch(key) and _VALUE.fullmatch(value))
