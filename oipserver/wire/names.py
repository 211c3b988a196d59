"""Names of models in requests, refused in the words of each kind of request; knows no wire and no model."""

from __future__ import annotations

from ..errors import InvalidArgumentError, NotFoundError
from ..protocol.names import EXPECTED_NAME, is_name


def check_model_name(name: str) -> str:
    """Return ``name``. Raises NotFoundError for what cannot be a model's name."""
    # Identifiers, with hyphens or without, always can, and that is known sooner: every inference request asks.
    if not (name.replace("-", "_").isidentifier() or is_name(name)):
        raise NotFoundError(f"Request for unknown model: '{name}' is not found: {EXPECTED_NAME}")
    return name


def check_controlled_name(name: str) -> str:
    """Return ``name``, of a model to load or unload. Raises InvalidArgumentError for what cannot be one."""
    if not name.strip():
        raise InvalidArgumentError("Model name cannot be empty. Please enter a valid name to deploy.")
    if not is_name(name):
        raise InvalidArgumentError(
            f"invalid model name '{name}', model name must not contain path traversal characters: {EXPECTED_NAME}"
        )
    return name
