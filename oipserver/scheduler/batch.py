"""Requests that run as one, from their dispatch to the end of their execution."""

from __future__ import annotations

import asyncio

from .queue import Entry


class Batch:
    """Requests that run as one, and the task that runs them."""

    __slots__ = ("entries", "remaining", "started", "task")

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.remaining = len(entries)  # callers who still wait
        self.started = False
        self.task: asyncio.Task[None] | None = None
