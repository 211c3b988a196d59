"""MLflow models in the model store, from Python: import, get, load; imports MLflow only where that is asked."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

from .errors import NotFoundError
from .repository.mlflow_lookup import import_mlflow
from .repository.mlmodel import PYFUNC, read_mlmodel
from .store import MLFLOW_MODEL_FOLDER, ImportOptions, ModelStore, StoredModel, Tag, batching_of, import_mlflow_model

__all__ = ["MLFLOW_MODEL_FOLDER", "get", "import_model", "load_model", "load_native"]


def import_model(
    name: str | Tag,
    model_uri: str | os.PathLike[str],
    *,
    signatures: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    runtime: str = "",
    with_run: bool = False,
    enforce_inputs: bool = False,
    store: ModelStore | None = None,
) -> StoredModel:
    """A new version of ``name`` (``name:version`` to choose it) in the store, from the MLflow model at ``model_uri``: a
    folder, ``runs:/...``, ``models:/...``, ``s3://...`` or whatever else MLflow resolves.

    ``signatures={"predict": {"batchable": True}}`` lets batches form; ``settings`` are keys of ``model-settings.json``;
    ``runtime`` is a flavor or runtime to serve it with; ``with_run`` takes parameters, metrics and tags of its run
    along; ``enforce_inputs`` has inputs refused that are not those of the signature. Raises OIPError, and nothing is
    stored then.
    """
    options = ImportOptions(
        labels or {}, metadata or {}, {**batching_of(signatures), **(settings or {})}, runtime, with_run, enforce_inputs
    )
    return import_mlflow_model(store or ModelStore(), name, os.fspath(model_uri), options)


def get(tag: str | Tag, *, store: ModelStore | None = None) -> StoredModel:
    """The stored MLflow model that ``tag`` means. Raises NotFoundError."""
    model = (store or ModelStore()).get(tag)
    if model.record.module != "mlflow":
        raise NotFoundError(f"'{model.tag}' is no MLflow model: it was stored by '{model.record.module}'")
    return model


def load_model(tag: str | Tag | StoredModel, *, store: ModelStore | None = None) -> Any:
    """The model as MLflow loads it for any framework, an ``mlflow.pyfunc.PyFuncModel``. Raises OIPError; what MLflow
    raises while it loads comes as it is."""
    model = tag if isinstance(tag, StoredModel) else get(tag, store=store)
    return import_mlflow(str(model.tag)).pyfunc.load_model(model.path_of(MLFLOW_MODEL_FOLDER))


def load_native(tag: str | Tag | StoredModel, *, store: ModelStore | None = None) -> Any:
    """The model as its own framework has it: a scikit-learn estimator, a PyTorch module. Raises NotFoundError where it
    has no flavor but ``python_function``, and otherwise as ``load_model``."""
    model = tag if isinstance(tag, StoredModel) else get(tag, store=store)
    folder = model.path_of(MLFLOW_MODEL_FOLDER)
    described = read_mlmodel(model.path / MLFLOW_MODEL_FOLDER)
    flavors = [described.native_flavor, *sorted(described.flavors)]
    flavor = next((name for name in flavors if name and name != PYFUNC), None)
    if flavor is None:
        raise NotFoundError(f"'{model.tag}' has no flavor but {PYFUNC}: load_model() loads it")
    import_mlflow(str(model.tag))
    return importlib.import_module(f"mlflow.{flavor}").load_model(folder)
