"""Futures that somebody may or may not wait for; knows nothing of what they promise."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


def look_at(future: asyncio.Future[Any]) -> None:
    """Somebody may have stopped waiting: its error is no news then."""
    if future.done() and not future.cancelled():
        future.exception()


def keep(future: asyncio.Future[None] | None) -> None:
    """What ``future`` stands for has come, where anybody waits for it."""
    if future is not None and not future.done():
        future.set_result(None)


def break_all(promises: Iterable[asyncio.Future[Any]], error: Exception) -> None:
    """What was not kept by now never will be."""
    for promise in promises:
        if not promise.done():
            promise.set_exception(error)
