"""The one table from the neutral codes to gRPC's, and what travels in the trailing metadata."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from re import compile as pattern

import grpc

from ...errors import Code, DecoupledModelError, OIPError

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

#: For errors whose HTTP status a model's code named: what MLServer maps otherwise than the neutral codes, and the two
#: statuses that gRPC has codes of its own for.
_BY_STATUS: dict[int, grpc.StatusCode] = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    422: grpc.StatusCode.FAILED_PRECONDITION,
}

# Clients refuse the whole answer when its metadata exceed 8 KiB, and non-ASCII text triples in size on the wire.
_MAX_DETAILS = 2000
_DECOUPLED = "ModelInfer RPC doesn't support models with decoupled transaction policy"
_KEY = pattern(r"(?!grpc-)[0-9a-z_.-]*[0-9a-z_.](?<!-bin)")
_VALUE = pattern(r"[\x20-\x7e]*")


def status_of(error: OIPError) -> grpc.StatusCode:
    """The code that tells ``error``. A 4xx that has none of its own is UNKNOWN, as with MLServer."""
    named, status = error.status_code, STATUS[error.code]
    if named is None or (status is not grpc.StatusCode.INVALID_ARGUMENT):
        return status
    return _BY_STATUS.get(named, status if named == 400 else grpc.StatusCode.UNKNOWN)


def wording(error: OIPError) -> str:
    """What ``error`` says on this wire."""
    return _DECOUPLED if isinstance(error, DecoupledModelError) else error.message


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
