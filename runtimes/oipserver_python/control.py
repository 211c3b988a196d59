"""Loading, unloading and asking after models, for models of Triton's Python backend."""

from __future__ import annotations

from collections.abc import Mapping

from .calling import control, place


def load_model(model_name: str, config: str = "", files: Mapping[str, bytes] | None = None) -> None:
    """Load or reload a model and wait for it; ``config`` is the JSON of a configuration to load it with, ``files``
    (``file:<path>`` and contents) what its folder is to hold. Raises TritonModelException where that fails."""
    control(place().caller.load(model_name, config, files or {}))


def unload_model(model_name: str, unload_dependents: bool = False) -> None:
    """Unload a model and wait for it. Raises TritonModelException where that fails."""
    control(place().caller.unload(model_name, unload_dependents))


def is_model_ready(model_name: str, model_version: str = "") -> bool:
    """Whether a model would accept a request."""
    return control(place().caller.ready(model_name, model_version))
