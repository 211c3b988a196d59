"""Who is here together: the evidence that holding a request back could fill a batch; knows no queue and no model."""

from __future__ import annotations

# Requests that met this long ago may well meet again, whatever max_batch_time says (nanoseconds).
_SHORTEST_MEMORY = 2_000_000


class Crowd:
    """Counts the requests of one model that are in the scheduler now, and how many were lately.

    ``size`` is the most that were here at once, for as long as at least two of them met within ``memory`` nanoseconds;
    otherwise it is 1. A client that sends one request after the other never meets itself, however fast it is.
    """

    __slots__ = ("_memory", "_met", "present", "size")

    def __init__(self, memory: int) -> None:
        self._memory = max(memory, _SHORTEST_MEMORY)
        self._met = 0
        self.present = 0
        self.size = 1

    def enter(self, now: int) -> None:
        """A request came."""
        self.present = present = self.present + 1
        if present > 1:
            self._met = now
            if present > self.size:
                self.size = present
        elif self.size > 1 and now - self._met > self._memory:
            self.size = 1

    def leave(self, now: int) -> None:
        """A request went."""
        if self.present > 1:
            self._met = now
        self.present -= 1

    def meet(self, now: int) -> None:
        """A request met one that is not counted here."""
        self._met = now
        if self.size < 2:
            self.size = 2

    def lately(self, now: int) -> bool:
        """Whether requests met a short while ago; may be asked from any thread."""
        return self.size > 1 and now - self._met <= self._memory

    def shrink(self) -> None:
        """Nobody else came in time: expect no more than are here."""
        self.size = max(1, self.present)
