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

    def dissolve(self) -> None:
        """Let go of everything, so that answers are freed when they are sent: cycles would leave them, and a pause of
        tens of milliseconds, to the garbage collector."""
        for entry in self.entries:
            if entry.batch is self:
                entry.batch = None
        self.entries = []
        self.task = None
