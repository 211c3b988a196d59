"""Log lines of models of Triton's Python backend, in the server's log."""

from __future__ import annotations

import logging
from enum import IntEnum

_log = logging.getLogger("oipserver.python_backend")


class LogLevel(IntEnum):
    """How much a line matters."""

    INFO = logging.INFO
    WARNING = logging.WARNING
    ERROR = logging.ERROR
    VERBOSE = logging.DEBUG


class Logger:
    """Writes lines to the server's log, under the model that executes."""

    INFO = LogLevel.INFO
    WARNING = LogLevel.WARNING
    ERROR = LogLevel.ERROR
    VERBOSE = LogLevel.VERBOSE

    @staticmethod
    def log(message: str, level: int = LogLevel.INFO) -> None:
        """Write ``message`` at ``level``."""
        _log.log(int(level), "%s", message)

    @staticmethod
    def log_info(message: str) -> None:
        """Write what is good to know."""
        _log.info("%s", message)

    @staticmethod
    def log_warn(message: str) -> None:
        """Write what somebody should look at."""
        _log.warning("%s", message)

    @staticmethod
    def log_error(message: str) -> None:
        """Write what went wrong."""
        _log.error("%s", message)

    @staticmethod
    def log_verbose(message: str) -> None:
        """Write what is good to know while looking for something."""
        _log.debug("%s", message)
