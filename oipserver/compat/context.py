"""``mlserver.context``: which model's code is running."""

from __future__ import annotations

from ..settings import ModelSettings
from ..telemetry.context import ModelContext, current_model


class _ModelVariable:
    """One half of what this server keeps in one variable, read like a ``ContextVar``."""

    def __init__(self, name: str, index: int) -> None:
        self.name = name
        self._index = index

    def get(self, *default: str) -> str:
        """The value; ``default`` outside of any model. Raises LookupError where there is neither."""
        current = current_model()
        if current[0]:
            return current[self._index]
        if not default:
            raise LookupError(f"no model's code is running: {self.name} has no value")
        return default[0]


model_name_var = _ModelVariable("model_name", 0)
model_version_var = _ModelVariable("model_version", 1)


def model_context(model_settings: ModelSettings) -> ModelContext:
    """A context manager: while it is open, metrics and log lines are labelled with this model."""
    return ModelContext(model_settings.name, model_settings.version)
