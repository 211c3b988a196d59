"""How many threads a session may have, so that many models in one process do not make threads without end."""

from __future__ import annotations

from threading import Lock

# onnxruntime's own default is a pool of all cores for every session, whose threads spin while they wait. Measured on
# two cores: 200 sessions made 200 more threads; a perceptron (512-1024-1024-10, 6 MB) called 200 times a second burned
# 5.4 ms of CPU a call where 0.3 ms was work. Without spinning its two threads took 430 us for 32 rows where one took
# 600, at 20% more CPU; for one row 229 against 248 us, at 35% more. onnxruntime's one pool for all sessions would
# bound the threads as well, but cannot be told from Python not to spin. So: a pool for each session, never spinning,
# cores / instances threads wide; one thread (which is the caller's own: no pool) for models too small to gain; and all
# pools of the process together have at most HELPERS_PER_CORE threads per core, no single one taking more than a
# quarter of what is left, so that the 500th model still loads and costs nothing while it is idle.
SMALL_MODEL_BYTES = 1 << 20
HELPERS_PER_CORE = 16
_LARGEST_SHARE = 4


class ThreadBudget:
    """Shares out pool threads among the sessions of a process. Thread-safe."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._left = cores * HELPERS_PER_CORE
        self._lock = Lock()

    @property
    def left(self) -> int:
        """Pool threads nobody has."""
        return self._left

    def take(self, instances: int, model_bytes: int) -> int:
        """Intra-op threads for a model: the calling thread and the pool threads it gets. Give them back later."""
        if model_bytes < SMALL_MODEL_BYTES:
            return 1
        wanted = max(1, self._cores // instances) - 1
        with self._lock:
            helpers = min(wanted, self._left // _LARGEST_SHARE)
            self._left -= helpers
        return 1 + helpers

    def give_back(self, threads: int) -> None:
        """Return what ``take`` gave."""
        with self._lock:
            self._left += threads - 1
