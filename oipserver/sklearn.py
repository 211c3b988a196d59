"""scikit-learn's models in the model store, from Python: save, get, load; imports joblib only where that is asked."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import InvalidArgumentError, NotFoundError
from .store import Draft, ModelStore, StoredModel, Tag, batching_of
from .store.given import checked_labels, checked_settings, plain_json

__all__ = ["get", "load_model", "save_model"]

_MODULE = "sklearn"
_FILE = "model.joblib"


def save_model(
    name: str | Tag,
    model: Any,
    *,
    signatures: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    store: ModelStore | None = None,
) -> StoredModel:
    """A new version of ``name`` (``name:version`` to choose it) in the store: a fitted estimator, served by the runtime
    ``sklearn``.

    ``signatures={"predict": {"batchable": True}}`` lets batches form; ``settings`` are keys of ``model-settings.json``.
    Raises OIPError, and nothing is stored then.
    """
    if not any(callable(getattr(model, method, None)) for method in ("predict", "transform")):
        raise InvalidArgumentError(f"expected a fitted estimator, which can predict or transform; got {type(model)}")
    joblib = _joblib()
    given = checked_settings({**batching_of(signatures), **(settings or {})})
    own = {"uri": _FILE, **given.get("parameters", {})}

    def fill(folder: Path) -> Draft:
        joblib.dump(model, folder / _FILE)
        told = {"implementation": _MODULE, **given, "parameters": own}
        source = {"runtime": _MODULE, "class": f"{type(model).__module__}.{type(model).__qualname__}"}
        return Draft(told, _MODULE, checked_labels(labels or {}), plain_json(metadata or {}), source)

    return (store or ModelStore()).add(name, fill)


def get(tag: str | Tag, *, store: ModelStore | None = None) -> StoredModel:
    """The stored scikit-learn model that ``tag`` means. Raises NotFoundError."""
    model = (store or ModelStore()).get(tag)
    if model.record.module != _MODULE:
        raise NotFoundError(f"'{model.tag}' was not stored by oipserver.sklearn, but by '{model.record.module}'")
    return model


def load_model(tag: str | Tag | StoredModel, *, store: ModelStore | None = None) -> Any:
    """The estimator itself. Reading it runs whatever whoever saved it put there. Raises OIPError."""
    model = tag if isinstance(tag, StoredModel) else get(tag, store=store)
    return _joblib().load(model.path_of(_FILE))


def _joblib() -> Any:
    try:
        return importlib.import_module("joblib")
    except ModuleNotFoundError:
        raise InvalidArgumentError('scikit-learn\'s models need joblib: pip install "oipserver[sklearn]"') from None
