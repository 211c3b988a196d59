"""Whether a batch that could run is held back for others to join it; runs nothing and takes nothing from the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ..executor import Executor
from .crowd import Crowd
from .policy import BatchPolicy
from .queue import Entry, RequestQueue
from .slots import Slots


class Holding:
    """Holds a batch back while there is reason to expect more requests, at most ``max_batch_time`` with a slot free.

    There is reason while fewer requests are here than lately were (those answered a moment ago may well ask again), and
    while another execution is under way with slots enough for everybody, so that no batch would ever form by waiting
    for one. A full batch, or one of a preferred size, is never held. Where nobody came in time, no more requests than
    those present are expected from then on. ``over`` is called on the loop when a holding has ended without company.
    """

    def __init__(
        self,
        policy: BatchPolicy,
        queue: RequestQueue,
        slots: Slots,
        executor: Executor,
        crowd: Crowd,
        clock: Callable[[], int],
        over: Callable[[], None],
    ) -> None:
        self._policy = policy
        self._queue = queue
        self._slots = slots
        self._executor = executor
        self._crowd = crowd
        self._clock = clock
        self._over = over
        self._was_full = False
        self._free_since = 0
        self._head: Entry | None = None
        self._timer: asyncio.TimerHandle | None = None

    def choose(self, head: Entry) -> Entry | None:
        """Whose batch may run: that of ``head``, else that of another group; None where all are held back."""
        if not self._has_free_slot() or self._is_ripe(head):
            return head
        for entry in self._queue.groups():
            if entry is not head and self._is_ripe(entry):
                return entry
        self._hold(head)
        return None

    def dispatched(self, entries: Sequence[Entry]) -> None:
        """``entries`` run now."""
        if self._head in entries:
            self.stop()

    def stop(self) -> None:
        """Hold nobody any longer."""
        if self._timer is not None:
            self._timer.cancel()
        self._head = self._timer = None

    def _has_free_slot(self) -> bool:
        free = self._slots.held < self._executor.slots
        if free and self._was_full:
            self._free_since = self._clock()
        self._was_full = not free
        return free

    def _is_ripe(self, entry: Entry) -> bool:
        if entry.key is None or entry.overdue or self._queue.rows_like(entry) >= self._policy.enough:
            return True
        crowd, slots = self._crowd, self._slots
        more_expected = crowd.present < crowd.size
        never_waits = crowd.size > 1 and slots.held > 0 and self._executor.slots >= crowd.size
        return not more_expected and not never_waits

    def _hold(self, head: Entry) -> None:
        if self._head is head:
            return
        self.stop()
        until = max(head.received, self._free_since) + self._policy.max_batch_time
        self._head = head
        self._timer = asyncio.get_running_loop().call_later((until - self._clock()) / 1e9, self._expire)

    def _expire(self) -> None:
        head, self._head, self._timer = self._head, None, None
        if head is not None:
            head.overdue = True  # rather than looking at the clock: timers may be a little early
            self._crowd.shrink()
            self._over()
