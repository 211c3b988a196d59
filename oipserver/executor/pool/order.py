"""How a worker is to be started; starts none."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from typing import Any

# Whose levels in a worker are those in the server: everybody's, ours, and that of models written for MLServer.
_LOGGERS = ("", "oipserver", "mlserver")


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """How a worker is to be started."""

    interpreter: str
    environment: dict[str, str]
    path: tuple[str, ...]  # put before its own sys.path
    memory: int  # bytes of each half of its shared memory
    heartbeat_timeout: float  # seconds
    retry: bool  # whether calls that were being executed by a worker that died may be run again

    def command(self, socket_fd: int, memory_fd: int) -> list[str]:
        """The command line of a worker that inherits these descriptors."""
        # -P: a file of the working directory must not shadow a library's
        start = [self.interpreter, "-P", "-m", "oipserver.executor.pool.worker"]
        return [*start, str(socket_fd), str(memory_fd), str(os.getpid())]

    def config(self) -> dict[str, Any]:
        """What the worker is told first: where it finds modules, what it logs, how often it shows that it lives,
        and whether calls may be run again."""
        return {
            "path": self.path,
            "log_levels": {name: logging.getLogger(name).getEffectiveLevel() for name in _LOGGERS},
            "beat": self.heartbeat_timeout / 4,
            "retry": self.retry,
        }


def search_path() -> tuple[str, ...]:
    """This process' own ``sys.path``: what can be imported here can be imported in a worker."""
    return tuple(sys.path)
