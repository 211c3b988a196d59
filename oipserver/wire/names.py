"""What may be a model's name on any wire; knows no model."""

from __future__ import annotations

from ..errors import InvalidArgumentError, NotFoundError


def check_model_name(name: str) -> str:
    """Return ``name``. Raises NotFoundError for what cannot be a model's name."""
    if not name.strip() or name in (".", "..") or "/" in name or "\\" in name:
        raise NotFoundError(f"Request for unknown model: '{name}' is not found: that cannot be a model's name")
    return name


def check_controlled_name(name: str) -> str:
    """Return ``name``, of a model to load or unload. Raises InvalidArgumentError for what cannot be one."""
    if not name.strip():
        raise InvalidArgumentError("Model name cannot be empty. Please enter a valid name to deploy.")
    if name in (".", "..") or "/" in name or "\\" in name:
        raise InvalidArgumentError(
            f"invalid model name '{name}', model name must not contain path traversal characters"
        )
    return name
