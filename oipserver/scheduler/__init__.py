"""When a request runs and with whom: bounded queues, batching; knows executors by their interface alone."""

from __future__ import annotations

from .base import Scheduler
from .batching import BatchScheduler
from .choose import scheduler_for
from .decoupled import StreamsOnly
from .direct import DirectScheduler
from .policy import BatchPolicy, QueuePolicy, policy_of
from .sequences import visible_face

__all__ = [
    "BatchPolicy",
    "BatchScheduler",
    "DirectScheduler",
    "QueuePolicy",
    "Scheduler",
    "StreamsOnly",
    "policy_of",
    "scheduler_for",
    "visible_face",
]
