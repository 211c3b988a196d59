"""Where models are found; nothing is loaded here and no model's code is touched."""

from __future__ import annotations

from pathlib import Path

from ..settings import Settings
from .custom import load_custom
from .file_repository import FileModelRepository
from .repository import ModelRepository, Scan

__all__ = ["FileModelRepository", "ModelRepository", "Scan", "model_repository"]


def model_repository(settings: Settings, root: Path) -> ModelRepository:
    """The repository that ``settings`` choose: a class of the user's own, else the files below ``root``.

    Raises InvalidArgumentError where that class cannot be used.
    """
    if settings.model_repository_implementation is None:
        return FileModelRepository(root)
    return load_custom(
        settings.model_repository_implementation, str(root), settings.model_repository_implementation_args
    )
