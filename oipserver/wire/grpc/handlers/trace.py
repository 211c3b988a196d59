"""The trace extension as messages."""

from __future__ import annotations

from ....pb import inference_pb2 as pb
from ....plane.extensions.trace import TraceControl
from .group import CallGroup, Handler, parsed


class TraceCalls(CallGroup):
    """What is traced, told and changed."""

    quick = True

    def __init__(self, control: TraceControl) -> None:
        self._control = control

    @property
    def calls(self) -> dict[str, Handler]:
        return {"TraceSetting": self.trace_setting}

    async def trace_setting(self, data: bytes) -> bytes:
        """Apply the settings that are given, if any, and tell all; one without a value is put back. Raises OIPError."""
        request = parsed(pb.TraceSettingRequest, data)
        changes = {name: list(setting.value) for name, setting in request.settings.items()}
        control, model = self._control, request.model_name
        told = control.update(changes, model) if changes else control.told(model)
        kind = pb.TraceSettingResponse.SettingValue
        return pb.TraceSettingResponse(
            settings={name: kind(value=values) for name, values in told.items()}
        ).SerializeToString()
