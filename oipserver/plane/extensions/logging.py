"""The logging extension: what the server logs, told and changed while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...errors import InvalidArgumentError, UnsupportedError
from ...telemetry.log_switch import LogSettings
from ...telemetry.logs import change_log_settings, log_settings

Value = bool | int | str
SWITCHES = ("log_info", "log_warning", "log_error")

_FIELDS = {
    "log_info": "info",
    "log_warning": "warning",
    "log_error": "error",
    "log_verbose_level": "verbose",
    "log_format": "format",
}
_FORMATS = ("default", "ISO8601")
_MOST_VERBOSE = 2**32 - 1


def told_log_settings() -> dict[str, Value]:
    """The settings by the protocol's names."""
    now = log_settings()
    return {"log_file": now.file, **{name: getattr(now, field) for name, field in _FIELDS.items()}}


def update_log_settings(changes: Mapping[str, Any]) -> dict[str, Value]:
    """Apply ``changes``, all or none, and tell all settings; None leaves one as it is.

    Values are of the right types already: a wire says in its own words that one is not. Raises UnsupportedError for the
    place of the log, InvalidArgumentError for an unknown setting or format.
    """
    wanted = {name: value for name, value in changes.items() if value is not None}
    if "log_file" in wanted:
        raise UnsupportedError("log file location can not be updated through network protocol")
    for name in wanted:
        if name not in _FIELDS:
            raise InvalidArgumentError(f"unknown log setting '{name}': expected one of {', '.join(_FIELDS)}")
    log_format = wanted.get("log_format", "default")
    if log_format not in _FORMATS:
        raise InvalidArgumentError(
            f"invalid argument for --log_format, got: {log_format}, expected {' or '.join(_FORMATS)}"
        )
    verbose = wanted.get("log_verbose_level", 0)
    if not 0 <= verbose <= _MOST_VERBOSE:
        raise InvalidArgumentError(f"log_verbose_level: expected 0 to {_MOST_VERBOSE}, got {verbose}")
    settings: LogSettings = replace(log_settings(), **{_FIELDS[name]: value for name, value in wanted.items()})
    change_log_settings(settings)
    return told_log_settings()
