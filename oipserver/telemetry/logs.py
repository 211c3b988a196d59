"""How log records leave the process: for people, or one JSON object a line; decides nothing about what is logged."""

from __future__ import annotations

import json
import logging
import logging.config
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgumentError
from .context import current_model
from .log_switch import LogSettings, LogSwitch

if TYPE_CHECKING:
    from ..settings import Settings

_HANDLER = "oipserver"
# Ours, and the one that models written for MLServer write to.
_OURS = ("oipserver", "mlserver")
# Loggers of libraries whose lines belong among ours; what they say in daily life is news only when debugging.
_LIBRARIES = ("uvicorn", "uvicorn.error", "uvicorn.access", "grpc")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "model", "model_version", "taskName"}


def configure_logging(settings: Settings) -> None:
    """Send logs of this server and its libraries where and as ``settings`` say; may be called again.

    What models and libraries log or warn of leaves the same way, from warnings up. A configuration in
    ``logging_settings`` is applied on top. Raises InvalidArgumentError where it is broken, and for a ``log_file`` that
    cannot be written.
    """
    handler = _handler(settings.log_file)
    handler.set_name(_HANDLER)
    handler.setFormatter(JsonFormatter() if settings.use_structured_logging else HumanFormatter())
    handler.addFilter(_switch)
    handler.addFilter(_name_model)
    for name in (*_OURS, *_LIBRARIES, ""):
        _attach(name, handler)
    level = logging.DEBUG if settings.debug else getattr(logging, settings.log_level.upper())
    change_log_settings(
        LogSettings.from_level(level, settings.log_format, settings.log_file), libraries_too=settings.debug
    )
    logging.captureWarnings(True)
    if settings.logging_settings is not None:
        _apply(settings.logging_settings)


def _handler(file: str) -> logging.Handler:
    """Writes to ``file``, also when it was moved away meanwhile, or to standard error. Raises InvalidArgumentError."""
    if not file:
        return logging.StreamHandler(sys.stderr)
    try:
        return WatchedFileHandler(file, encoding="utf-8")
    except OSError as error:
        raise InvalidArgumentError(f"log_file: cannot write to {file}: {error.strerror}") from None


def _attach(name: str, handler: logging.Handler) -> None:
    logger = logging.getLogger(name)
    logger.handlers = [each for each in logger.handlers if each.get_name() != _HANDLER] + [handler]
    logger.propagate = False  # the root logger has the handler too


_switch = LogSwitch(LogSettings())


def log_settings() -> LogSettings:
    """What this process logs now."""
    return _switch.settings


def change_log_settings(settings: LogSettings, *, libraries_too: bool = False) -> None:
    """Log what ``settings`` say from now on; debug messages of libraries only where ``libraries_too``.

    Worker processes go on sending what they were started to send; what does not pass here is left out.
    """
    _switch.settings = settings
    for name in _OURS:
        logging.getLogger(name).setLevel(settings.level)
    for name in (*_LIBRARIES, ""):
        logging.getLogger(name).setLevel(settings.level if libraries_too else max(settings.level, logging.WARNING))


def _name_model(record: logging.LogRecord) -> bool:
    """Put the model whose code is running on the record, unless the worker it comes from has done so."""
    if not hasattr(record, "model"):
        record.model, record.model_version = current_model()
    return True


class HumanFormatter(logging.Formatter):
    """``2026-01-31 12:00:00,000 INFO oipserver.registry [model:version]: message``; the time as the settings say."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s%(where)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        model, version = getattr(record, "model", ""), getattr(record, "model_version", "")
        record.where = f" [{model}{':' if version else ''}{version}]" if model else ""
        return super().format(record)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        if _switch.settings.format == "ISO8601":
            return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return super().formatTime(record, datefmt)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, whatever the message holds; what was given as ``extra`` becomes keys of its own."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if model := getattr(record, "model", ""):
            line["model"], line["model_version"] = model, getattr(record, "model_version", "")
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        elif record.exc_text:  # of a worker's record, which brings no traceback to format
            line["exception"] = record.exc_text
        if record.stack_info:
            line["stack"] = record.stack_info
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD and key not in line}
        return json.dumps(line, default=repr)


def _apply(configuration: str | Mapping[str, Any]) -> None:
    """A ``logging.config`` dictionary, the path of a JSON file with one, or of a file in its older format."""
    try:
        if not isinstance(configuration, str):
            _apply_dictionary(configuration)
        elif configuration.endswith(".json"):
            _apply_dictionary(json.loads(Path(configuration).read_bytes()))
        else:
            logging.config.fileConfig(configuration, disable_existing_loggers=False)
    except Exception as error:  # logging.config raises whatever it trips over
        cause = f": {error.__cause__}" if error.__cause__ else ""
        raise InvalidArgumentError(f"logging_settings cannot be used: {error}{cause}") from error


def _apply_dictionary(configuration: Mapping[str, Any]) -> None:
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, **configuration})
