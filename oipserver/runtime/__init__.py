"""Everything that touches a model's own code: finding its class, making it, calling it."""

from __future__ import annotations

from .host import ModelFace, ModelHost
from .resolve import placement_of, resolve_class, runtime_name

__all__ = ["ModelFace", "ModelHost", "placement_of", "resolve_class", "runtime_name"]
