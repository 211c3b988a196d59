"""Where models are found; nothing is loaded here and no model's code is touched."""

from __future__ import annotations

from .file_repository import FileModelRepository
from .repository import ModelRepository, Scan

__all__ = ["FileModelRepository", "ModelRepository", "Scan"]
