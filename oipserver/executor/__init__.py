"""Where a model runs: in the server's process, or in a pool of workers."""

from __future__ import annotations

from .base import Executor
from .in_process import InProcessExecutor

__all__ = ["Executor", "InProcessExecutor"]
