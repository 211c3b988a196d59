"""What the client of an ASGI request sends, and whether it is still there; knows nothing of inference."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.types import Receive

from ...errors import InvalidArgumentError
from .headers import RawHeaders, whole_number


class ClientLeftError(Exception):
    """The client disconnected before its request was complete."""


def too_large(size: int, limit: int) -> InvalidArgumentError:
    """The error of a body of ``size`` bytes or more where ``limit`` are allowed."""
    return InvalidArgumentError(
        f"request size of {size} bytes exceeds the maximum allowed input size of {limit} bytes. "
        "Use --http-max-body-bytes to increase the limit."
    )


async def read_body(receive: Receive, headers: RawHeaders, limit: int) -> bytes:
    """The whole body.

    Raises InvalidArgumentError for more than ``limit`` bytes, before reading any where the length is announced, and
    ClientLeftError.
    """
    announced = next((value for name, value in headers if name == b"content-length"), b"0")
    if announced.isdigit() and (size := whole_number(announced)) > limit:
        raise too_large(size, limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise too_large(size, limit)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def while_connected(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` in one task to its end, or cancel it when the client leaves."""
    working = asyncio.ensure_future(work)
    left = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((working, left), return_when=asyncio.FIRST_COMPLETED)
    finally:
        left.cancel()
        if not working.done():
            working.cancel()
        await asyncio.wait((working, left))
    if not working.cancelled():
        working.result()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
