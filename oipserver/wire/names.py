"""What may be a model's name on any wire; knows no model."""

from __future__ import annotations

from ..errors import NotFoundError


def check_model_name(name: str) -> str:
    """Return ``name``. Raises NotFoundError for what cannot be a model's name."""
    if not name.strip() or name in (".", "..") or "/" in name or "\\" in name:
        raise NotFoundError(f"Request for unknown model: '{name}' is not found: that cannot be a model's name")
    return name
