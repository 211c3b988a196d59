"""The trace extension: what is traced, of all models and of single ones, told and changed while the server runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import InvalidArgumentError, UnsupportedError
from ...settings import Settings
from ...telemetry.trace_file import TraceFile
from ..data import DataPlane
from ..trace_layer import Scope, TraceLayer, TraceSettings

#: Values of one setting as both wires have them; None or none at all puts it back to what is behind it.
Values = Sequence[str] | None

_LEVELS = ("TIMESTAMPS", "TENSORS")
_MOST_UNSIGNED = 2**32 - 1
_MOST_SIGNED = 2**31 - 1


class TraceControl:
    """The settings of traces of one server: the global ones, and of each model those that differ.

    While something is traced a TraceLayer stands before ``data``; otherwise nothing does. Used on the loop.
    Raises InvalidArgumentError where the trace file of ``settings`` cannot be written.
    """

    def __init__(self, data: DataPlane, settings: Settings) -> None:
        self._data = data
        self._file = TraceFile(settings.trace_file) if settings.trace_file else None
        self._path = settings.trace_file
        self._start: dict[str, Any] = {
            "levels": frozenset(settings.trace_level) - {"OFF"},
            "rate": settings.trace_rate,
            "count": settings.trace_count,
            "log_frequency": settings.trace_log_frequency,
        }
        self._changed: dict[str, dict[str, Any]] = {"": {}}  # by model, "" for all
        self._scopes: dict[str, Scope] = {}
        self._rebuild({"count"})

    # -- asked by both wires -------------------------------------------------------------------------------------

    def told(self, model: str = "") -> dict[str, list[str]]:
        """The settings of ``model``, or the global ones. Raises InvalidArgumentError for a model that is not loaded."""
        self._require(model)
        settings, remaining = self._effective(model), self._count_left(model)
        levels = [level for level in _LEVELS if level in settings.levels]
        return {
            "trace_level": levels or ["OFF"],
            "trace_rate": [str(settings.rate)],
            "trace_count": [str(remaining)],
            "log_frequency": [str(settings.log_frequency)],
            "trace_file": [self._path],
            "trace_mode": ["triton"],
        }

    def update(self, changes: Mapping[str, Values], model: str = "") -> dict[str, list[str]]:
        """Apply ``changes``, all or none, and tell all settings.

        Raises UnsupportedError for what only the start of the server decides, InvalidArgumentError for what is wrong.
        """
        self._require(model)
        parsed = dict(_parse(name, values) for name, values in changes.items())
        changed = self._changed.setdefault(model, {})
        for field, value in parsed.items():
            if value is None:
                changed.pop(field, None)
            else:
                changed[field] = value
        if model and not changed:
            del self._changed[model]
        self._rebuild(set(parsed), model)
        return self.told(model)

    def close(self) -> None:
        """Write what has been traced. Blocks for a few seconds at most."""
        self._data.intercept(None)
        if self._file is not None:
            self._file.close()

    # -- asked by the layer --------------------------------------------------------------------------------------

    def scope(self, model: str) -> Scope:
        """The scope of requests to ``model``."""
        scopes = self._scopes
        return scopes.get(model) or scopes[""]

    # -- inside --------------------------------------------------------------------------------------------------

    def _require(self, model: str) -> None:
        if model and not any(one.name == model for one in self._data.models()):
            raise InvalidArgumentError(f"Request for unknown model : {model}")

    def _effective(self, model: str) -> TraceSettings:
        return TraceSettings(**{**self._start, **self._changed[""], **self._changed.get(model, {})})

    def _count_left(self, model: str) -> int:
        scope = self._scopes.get(model) or self._scopes.get("")
        return scope.remaining if scope is not None else self._effective(model).count

    def _rebuild(self, fields: set[str], model: str = "") -> None:
        """Make the scopes anew that a change of ``fields`` of ``model`` reaches; where nothing changed they go on."""
        if self._file is None:
            return
        scopes: dict[str, Scope] = {}
        for name in self._changed:
            settings, old = self._effective(name), self._scopes.get(name)
            if old is not None and old.settings == settings and not (name == model and "count" in fields):
                scopes[name] = old
                continue
            scopes[name] = Scope(settings, self._file)
            if old is not None and old.settings.count == settings.count and "count" not in fields:
                scopes[name].remaining = old.remaining
        self._scopes = scopes
        wanted = any(scope.settings.wanted for scope in scopes.values())
        self._data.intercept(TraceLayer(self._data, self) if wanted else None)


def _parse(name: str, values: Values) -> tuple[str, Any]:
    """The field that ``name`` sets and its value; None where it is put back. Raises OIPError."""
    if name == "trace_file":
        raise UnsupportedError("trace file location can not be updated through network protocol")
    if name == "trace_mode":
        raise UnsupportedError("trace mode can not be updated through network protocol")
    if name == "trace_level":
        return "levels", _levels(values) if values else None
    if name not in _BOUNDS:
        raise InvalidArgumentError(f"unknown trace setting '{name}': expected trace_level, {', '.join(_BOUNDS)}")
    field = name.removeprefix("trace_")
    if not values:
        return field, None
    if len(values) != 1:
        raise InvalidArgumentError(f"expect only 1 value for '{name}', got {len(values)}")
    return field, _number(name, values[0])


def _levels(values: Sequence[str]) -> frozenset[str]:
    if "OFF" in values:
        if len(values) > 1:
            raise InvalidArgumentError("Expect only one trace level 'OFF' is specified")
        return frozenset()
    for value in values:
        if value not in _LEVELS:
            raise InvalidArgumentError(
                f"Unable to parse 'trace_level', got: {value}: expected OFF, TIMESTAMPS, TENSORS"
            )
    return frozenset(values)


_BOUNDS = {
    "trace_rate": (0, _MOST_UNSIGNED),
    "trace_count": (-1, _MOST_SIGNED),
    "log_frequency": (0, _MOST_UNSIGNED),
}


def _number(name: str, text: str) -> int:
    digits = text.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 20:
        raise InvalidArgumentError(f"Unable to parse '{name}', got: {text}")
    value = int(text)
    least, most = _BOUNDS[name]
    if name == "trace_count" and value < least:
        raise InvalidArgumentError(f"Unable to parse 'trace_count'. Expecting value >= {least}, got:{text}")
    if not least <= value <= most:
        raise InvalidArgumentError(f"Unable to parse '{name}', value is out of range [ {least}, {most} ], got: {text}")
    return value
