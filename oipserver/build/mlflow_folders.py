"""Where MLflow's models lie below a folder and what they say they need; reads no artefact and needs no mlflow."""

from __future__ import annotations

import re
from pathlib import Path

from ..repository.mlmodel import MLMODEL_FILE
from .walk import folders_below

_PYTHON_FILE = "python_env.yaml"

_PYTHON = re.compile(r"^python:\s*['\"]?(\d+\.\d+)", re.MULTILINE)


def mlflow_folders(root: Path) -> list[Path]:
    """Folders with an ``MLmodel``, in order of names."""
    return [path for path, names in folders_below(root) if MLMODEL_FILE in names]


def python_of(folder: Path) -> str | None:
    """The Python, as "3.12", that an MLflow model was saved with; None where it does not say."""
    try:
        found = _PYTHON.search((folder / _PYTHON_FILE).read_text())
    except (OSError, UnicodeDecodeError):
        return None
    return found[1] if found else None
