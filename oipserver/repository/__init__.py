"""Where models are found; nothing is loaded here and no model's code is touched."""

from __future__ import annotations

from .repository import ModelRepository, Scan

__all__ = ["ModelRepository", "Scan"]
