"""What is let through to the log, changeable while the server runs; attaches nothing and formats nothing."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

LogFormat = Literal["default", "ISO8601"]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Which severities are logged; ``verbose`` above 0 adds debug messages. ``format`` is how lines tell the time,
    ``file`` where they go, "" for standard error."""

    info: bool = True
    warning: bool = True
    error: bool = True
    verbose: int = 0
    format: LogFormat = "default"
    file: str = ""

    @classmethod
    def from_level(cls, level: int, log_format: LogFormat = "default", file: str = "") -> LogSettings:
        """What a least severity of ``logging``'s means."""
        return cls(
            info=level <= logging.INFO,
            warning=level <= logging.WARNING,
            error=level <= logging.ERROR,
            verbose=int(level <= logging.DEBUG),
            format=log_format,
            file=file,
        )

    @property
    def level(self) -> int:
        """The least severity that may pass."""
        if self.verbose:
            return logging.DEBUG
        if self.info:
            return logging.INFO
        return logging.WARNING if self.warning else logging.ERROR

    def passes(self, level: int) -> bool:
        """Whether a message of this severity is logged."""
        if level >= logging.ERROR:
            return self.error
        if level >= logging.WARNING:
            return self.warning
        return self.info if level >= logging.INFO else self.verbose > 0


class LogSwitch(logging.Filter):
    """Lets pass what ``settings`` say, of whatever logger."""

    def __init__(self, settings: LogSettings) -> None:
        super().__init__()
        self.settings = settings

    def filter(self, record: logging.LogRecord) -> bool:
        return self.settings.passes(record.levelno)
