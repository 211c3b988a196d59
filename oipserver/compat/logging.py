"""``mlserver.logging``: the logger models write to, and its configuration."""

from __future__ import annotations

import logging

from ..settings import Settings
from ..telemetry.logs import configure_logging

LoggerName = "mlserver"
logger = logging.getLogger(LoggerName)


def get_logger() -> logging.Logger:
    """The logger models write to."""
    return logger


def configure_logger(settings: Settings | None = None) -> logging.Logger:
    """Send logs to standard error as ``settings`` say. Raises InvalidArgumentError where they cannot be used."""
    configure_logging(settings or Settings())
    return logger
