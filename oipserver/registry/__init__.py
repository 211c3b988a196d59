"""What is loaded: servables, their states, leases on them; knows no wire and no file layout."""

from __future__ import annotations

from .builder import ServableBuilder
from .registry import ModelRegistry, VersionsFailedError
from .servable import Servable

__all__ = ["ModelRegistry", "Servable", "ServableBuilder", "VersionsFailedError"]
