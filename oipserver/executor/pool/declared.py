"""What a model's settings say of where it runs: its environment and its processes; starts and unpacks nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...settings import ModelSettings

_ENVIRONMENT = "EXECUTION_ENV_PATH"
_MODEL_FOLDER = "$$TRITON_MODEL_DIRECTORY"


def has_environment(settings: ModelSettings) -> bool:
    """Whether a model brings a Python environment of its own."""
    parameters = settings.parameters
    return bool(parameters.environment_tarball or parameters.environment_path or _configured(settings))


def environment_of(settings: ModelSettings) -> tuple[Path | None, Path | None]:
    """The packed and the unpacked environment of a model; at most one of them is there."""
    parameters = settings.parameters
    if parameters.environment_tarball:
        return _beside(settings, parameters.environment_tarball), None
    if parameters.environment_path:
        return None, _beside(settings, parameters.environment_path)
    configured = _configured(settings)
    if not configured:
        return None, None
    path = Path(configured.replace(_MODEL_FOLDER, str(settings.folder.resolve())))
    return (None, path) if path.is_dir() else (path, None)


def _configured(settings: ModelSettings) -> str:
    """EXECUTION_ENV_PATH of the configuration in Triton's form."""
    given = ((settings.configuration or {}).get("parameters") or {}).get(_ENVIRONMENT)
    return str(given.get("string_value", "")) if isinstance(given, dict) else ""


def _beside(settings: ModelSettings, path: str) -> Path:
    """``path`` as the model's settings mean it: relative to their file where it exists there."""
    if settings.source:
        beside = Path(settings.source).parent / path
        if beside.exists():
            return beside.resolve()
    return Path(path).resolve()


def instances_of(configuration: dict[str, Any] | None) -> int:
    """How many processes the instance groups of a configuration in Triton's form ask for; 1 where they do not."""
    groups = (configuration or {}).get("instance_group") or []
    counts = [int(group.get("count", 1) or 1) * max(1, len(group.get("gpus") or ())) for group in groups]
    return max(1, sum(counts))


def keeps_sequences(configuration: dict[str, Any] | None) -> bool:
    """Whether a model has the state of its sequences in itself, so that all their requests must find the same one."""
    sequences = (configuration or {}).get("sequence_batching")
    return sequences is not None and not sequences.get("state")
