"""The logging extension as messages."""

from __future__ import annotations

from ....errors import InvalidArgumentError
from ....pb import inference_pb2 as pb
from ....plane.extensions.logging import SWITCHES, Value, told_log_settings, update_log_settings
from .group import CallGroup, Handler, parsed

_KINDS = {
    **dict.fromkeys(SWITCHES, ("bool_param", "boolean")),
    "log_verbose_level": ("uint32_param", "unsigned int"),
    "log_format": ("string_param", "string"),
    "log_file": ("string_param", "string"),
}


class LoggingCalls(CallGroup):
    """What is logged, told and changed."""

    quick = True

    @property
    def calls(self) -> dict[str, Handler]:
        return {"LogSettings": self.log_settings}

    async def log_settings(self, data: bytes) -> bytes:
        """Apply the settings that are given, if any, and tell all. Raises OIPError."""
        request = parsed(pb.LogSettingsRequest, data)
        changes = {name: _value(name, value) for name, value in request.settings.items()}
        told = update_log_settings(changes) if changes else told_log_settings()
        return pb.LogSettingsResponse(
            settings={name: _message(value) for name, value in told.items()}
        ).SerializeToString()


def _value(name: str, value: pb.LogSettingsRequest.SettingValue) -> object:
    """Raises InvalidArgumentError for a value of the wrong type. What an unknown setting has does not matter."""
    given = value.WhichOneof("parameter_choice")
    if given is None:
        return None
    wanted, kind = _KINDS.get(name, (given, ""))
    if given != wanted:
        raise InvalidArgumentError(f"expect {kind} for '{name}'")
    return getattr(value, given)


def _message(value: Value) -> pb.LogSettingsResponse.SettingValue:
    kind = pb.LogSettingsResponse.SettingValue
    if isinstance(value, bool):
        return kind(bool_param=value)
    return kind(uint32_param=value) if isinstance(value, int) else kind(string_param=value)
