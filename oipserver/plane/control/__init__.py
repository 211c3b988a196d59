"""The control plane: the repository index, what is loaded from it, and how it follows the repository."""

from __future__ import annotations

from .control import ControlPlane
from .watcher import Watcher

__all__ = ["ControlPlane", "Watcher"]
