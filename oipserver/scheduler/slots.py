"""Counts executions under way, from the event loop and from other threads; knows no queue."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from threading import Lock


class Slots:
    """At most ``capacity()`` holders at once.

    ``try_acquire`` and ``release`` may be called from any thread, ``claim`` and ``want`` on the loop alone. While
    somebody on the loop waits for a slot (``claim`` failed, or ``want(True)``), ``try_acquire`` gives none away, and
    every ``release`` leads to a call of ``freed`` on the loop: at once from the loop's own thread, soon from another.
    """

    def __init__(self, capacity: Callable[[], int], freed: Callable[[], None]) -> None:
        self._capacity = capacity
        self._freed = freed
        self._lock = Lock()
        self._held = 0
        self._wanted = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    @property
    def held(self) -> int:
        """Holders now."""
        return self._held

    def try_acquire(self) -> bool:
        """Take a slot if one is free and nobody waits for it."""
        with self._lock:
            if self._wanted or self._held >= self._capacity():
                return False
            self._held += 1
            return True

    def claim(self) -> bool:
        """Take a slot for the first of those who wait; where none is free, ``freed`` will be called when one may be."""
        with self._lock:
            if self._held < self._capacity():
                self._held += 1
                return True
            self._want()
            return False

    def want(self, wanted: bool) -> None:
        """Say whether somebody waits."""
        if wanted is not self._wanted:
            with self._lock:
                if wanted:
                    self._want()
                else:
                    self._wanted = False

    def _want(self) -> None:
        self._wanted = True
        if self._loop is None:
            self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()

    def release(self) -> None:
        """Give a slot back."""
        # Whether somebody waits is read under the lock that a failed claim says so under: whoever asks either sees this
        # slot free or is seen here.
        with self._lock:
            self._held -= 1
            wanted = self._wanted
        if not wanted:
            return
        if threading.get_ident() == self._thread:
            self._freed()
            return
        assert self._loop is not None, "whoever waits has said on which loop"
        with suppress(RuntimeError):  # the loop is closed, and gone is whoever waited
            self._loop.call_soon_threadsafe(self._freed)
