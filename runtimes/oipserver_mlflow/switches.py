"""MLflow's switches that forbid models which run code when they are loaded; read from the environment at each load."""

from __future__ import annotations

import os
from pathlib import Path

from oipserver.errors import ModelLoadError

PICKLES = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
CODE = "MLFLOW_ALLOW_MODEL_CODE_EXECUTION"


def require(switch: str, model: str, what: str) -> None:
    """Raises ModelLoadError where ``switch`` is off, saying that ``what`` the model needs is not allowed."""
    if os.environ.get(switch, "true").strip().lower() in ("false", "0"):
        raise ModelLoadError(
            f"model '{model}' {what}, which is not allowed here: {switch} is false. Set it to true only where you "
            "trust the model"
        )


def inside(folder: Path, name: object, model: str) -> Path:
    """The file that an MLmodel names. Raises ModelLoadError where it is not there, or not below ``folder``."""
    path = (folder / str(name)).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.exists():
        raise ModelLoadError(f"model '{model}': MLmodel names the file '{name}', which is not in '{folder}'")
    return path
