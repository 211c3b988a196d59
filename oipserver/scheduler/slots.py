"""Counting executions under way, from the loop and from other threads, and letting the others wait in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from threading import Lock
from time import monotonic_ns

from ..errors import DeadlineExceededError, OIPError, ResourceExhaustedError, UnavailableError


class Slots:
    """At most ``capacity()`` holders at once; further callers wait first come, first served, at most ``limit`` of them.

    ``try_acquire`` and ``release`` may be called from any thread; ``acquire`` and ``wake`` on the loop alone.
    """

    def __init__(
        self, capacity: Callable[[], int], limit: int, name: str, clock: Callable[[], int] = monotonic_ns
    ) -> None:
        self._capacity = capacity
        self._limit = limit
        self._name = name
        self._clock = clock
        self._lock = Lock()
        self._held = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def waiting(self) -> int:
        """Callers that wait."""
        return len(self._waiters)

    def try_acquire(self) -> bool:
        """Take a slot if one is free and nobody waits for it."""
        with self._lock:
            if self._waiters or self._held >= self._capacity():
                return False
            self._held += 1
            return True

    async def acquire(self, deadline: int | None) -> None:
        """Take a slot, waiting for it until ``deadline`` (``time.monotonic_ns``).

        Raises ResourceExhaustedError where too many wait already, DeadlineExceededError where the deadline passes.
        """
        if self.try_acquire():
            return
        if len(self._waiters) >= self._limit:
            raise ResourceExhaustedError(
                f"model '{self._name}': Exceeds maximum queue size: {self._limit} requests wait already; try later",
                retry_after=1.0,
            )
        self._loop = loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        timer: asyncio.TimerHandle | None = None
        if deadline is not None:
            timer = loop.call_later(max(0, deadline - self._clock()) / 1e9, self._expire, waiter)
        self._waiters.append(waiter)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release()  # the slot was handed over in the moment the caller left
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def release(self) -> None:
        """Give a slot back."""
        with self._lock:
            self._held -= 1
        if self._waiters and self._loop is not None:
            self._loop.call_soon_threadsafe(self.wake)

    def wake(self) -> None:
        """Hand free slots to those who wait."""
        while self._waiters:
            with self._lock:
                if self._held >= self._capacity():
                    return
                self._held += 1
            waiter = self._waiters.popleft()
            if waiter.done():
                with self._lock:
                    self._held -= 1
            else:
                waiter.set_result(None)

    def fail(self, error: OIPError) -> None:
        """Fail everybody who waits."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(error)

    def _expire(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_exception(DeadlineExceededError(f"model '{self._name}': Request timeout expired while queued"))


def unavailable(name: str, reason: str) -> UnavailableError:
    """The error of a model that cannot be executed now."""
    return UnavailableError(f"model '{name}' is not available: {reason}", retry_after=1.0)
