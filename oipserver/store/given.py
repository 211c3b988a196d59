"""What people say of a model when they store it: labels, metadata, settings, batching; stores nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..errors import InvalidArgumentError
from ..settings import ModelSettings

#: Rows of a batch for a model that is to be batched, where nobody says.
DEFAULT_BATCH = 100


def batching_of(signatures: Mapping[str, Any] | None) -> dict[str, Any]:
    """What ``{"predict": {"batchable": True}}`` comes to as settings of a model.

    Raises InvalidArgumentError for another method than ``predict``, and for batches along another axis than the first.
    """
    settings: dict[str, Any] = {}
    for method, signature in (signatures or {}).items():
        if method != "predict" or not isinstance(signature, Mapping):
            raise InvalidArgumentError(
                f"signatures: expected 'predict' alone, with an object such as {{'batchable': True}}; got {method!r}: "
                f"{signature!r}"
            )
        if signature.get("batch_dim", 0) not in (0, (0, 0), [0, 0]):
            raise InvalidArgumentError(
                f"signatures: predict: batches form along the first axis, got batch_dim {signature['batch_dim']!r}"
            )
        settings = {"max_batch_size": DEFAULT_BATCH if signature.get("batchable") else 0}
    return settings


def checked_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Raises InvalidArgumentError for what is no text by text."""
    for key, value in labels.items():
        if not all(isinstance(text, str) for text in (key, value)):
            raise InvalidArgumentError(f"labels: expected text by text, got {key!r}: {value!r}")
    return dict(labels)


def checked_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Raises InvalidArgumentError for keys that mean nothing, and for values that cannot be."""
    for key in settings:
        if key not in ModelSettings.model_fields or key in ("name", "implementation", "model_folder"):
            raise InvalidArgumentError(
                f"'{key}' cannot be set when a model is imported: expected a key of its settings"
            )
    try:
        ModelSettings.model_validate(dict(settings))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise InvalidArgumentError(f"settings: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
    return dict(settings)


def plain_json(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """``metadata`` as JSON has it; numbers of numpy become plain ones."""

    def number(value: Any) -> Any:
        if hasattr(value, "tolist"):
            return value.tolist()
        raise TypeError(f"a {type(value).__name__} cannot be kept")

    try:
        plain = json.loads(json.dumps(dict(metadata), default=number))
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"metadata: expected what JSON has: {error}") from None
    assert isinstance(plain, dict)
    return plain
