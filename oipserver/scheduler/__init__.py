"""When a request runs and with whom: bounded queues, batching; knows executors by their interface alone."""

from __future__ import annotations

from .base import Scheduler
from .direct import DirectScheduler

__all__ = ["DirectScheduler", "Scheduler"]
