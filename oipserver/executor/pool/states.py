"""The states of a worker process, and the ways between them; knows no process."""

from __future__ import annotations

from enum import Enum


class WorkerState(Enum):
    """The life of one worker process; a replacement is another worker."""

    NEW = "NEW"
    STARTING = "STARTING"
    READY = "READY"
    DRAINING = "DRAINING"
    STOPPED = "STOPPED"
    FAILED = "FAILED"


_TRANSITIONS: dict[WorkerState, frozenset[WorkerState]] = {
    WorkerState.NEW: frozenset({WorkerState.STARTING, WorkerState.FAILED}),
    WorkerState.STARTING: frozenset({WorkerState.READY, WorkerState.DRAINING, WorkerState.FAILED}),
    WorkerState.READY: frozenset({WorkerState.DRAINING, WorkerState.FAILED}),
    WorkerState.DRAINING: frozenset({WorkerState.STOPPED}),
    WorkerState.STOPPED: frozenset(),
    WorkerState.FAILED: frozenset(),
}


class WorkerGoneError(Exception):
    """The worker ended before it did what was asked."""


def check_transition(old: WorkerState, new: WorkerState) -> None:
    """Raises RuntimeError where there is no way from ``old`` to ``new``."""
    if new not in _TRANSITIONS[old]:
        raise RuntimeError(f"worker: no way from {old.value} to {new.value}. This is a bug.")
