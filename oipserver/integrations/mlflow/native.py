"""Logged models that our own runtimes read without MLflow: which file, which runtime, which settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import environment_variables

from ...repository.mlmodel import PYFUNC
from .artifact import Artifact
from .failures import wrong
from .options import Options


class NotNativeError(Exception):
    """No runtime of ours reads this model; the message says why, for whoever asked for one."""


@dataclass(frozen=True, slots=True)
class Native:
    """``implementation`` reads ``uri``, a path among ``files`` ("": all of them), with ``extra`` as its settings."""

    implementation: str
    uri: str
    files: dict[str, Path]
    extra: dict[str, Any]


def read_native(artifact: Artifact, flavor: str, options: Options) -> Native:
    """How ``flavor`` of ``artifact`` is served. Raises NotNativeError, and MlflowException where files are missing."""
    return _READERS[flavor](artifact, artifact.flavors[flavor], options)


def _sklearn(artifact: Artifact, flavor: dict[str, Any], options: Options) -> Native:
    path = artifact.path(str(flavor.get("pickled_model") or ""), "sklearn")
    python = artifact.flavors.get(PYFUNC, {})
    chosen = python.get("predict_fn") or "predict"
    extra: dict[str, Any] = {} if chosen == "predict" else {"predict_fn": chosen}
    if flavor.get("serialization_format") == "skops" or path.suffix == ".skops":
        if trusted := flavor.get("skops_trusted_types"):
            extra["trusted_types"] = list(trusted)
        return Native("sklearn", "model.skops", {"model.skops": path}, extra)
    _require_pickles(artifact, options)
    return Native("sklearn", "model.pkl", {"model.pkl": path}, extra)


def _xgboost(artifact: Artifact, flavor: dict[str, Any], options: Options) -> Native:
    path = artifact.path(str(flavor.get("data") or ""), "xgboost")
    suffix = path.suffix if path.suffix in (".json", ".ubj", ".bst") else ".bst"
    return Native("xgboost", f"model{suffix}", {f"model{suffix}": path}, {})


def _lightgbm(artifact: Artifact, flavor: dict[str, Any], options: Options) -> Native:
    path = artifact.path(str(flavor.get("data") or ""), "lightgbm")
    if path.suffix == ".skops":
        raise NotNativeError("LightGBM's scikit-learn classes in skops files are MLflow's to read")
    if path.suffix in (".pkl", ".pickle", ".joblib"):
        _require_pickles(artifact, options)
        return Native("lightgbm", "model.pkl", {"model.pkl": path}, {})
    return Native("lightgbm", "model.txt", {"model.txt": path}, {})


def _pytorch(artifact: Artifact, flavor: dict[str, Any], options: Options) -> Native:
    folder = artifact.path(str(flavor.get("model_data") or "data"), "pytorch")
    exported = sorted(folder.glob("*.pt2")) if folder.is_dir() else []
    if exported:
        return Native("torch", "model.pt2", {"model.pt2": exported[0]}, {})
    if not options.trust:
        raise wrong(
            f"{artifact.origin.uri} is a pickled PyTorch module, a program whose author must be trusted: log it with "
            "serialization_format='pt2', or deploy it with -C trust=true"
        )
    raise NotNativeError("a pickled PyTorch module is MLflow's to read: deploy it as python_function")


def _transformers(artifact: Artifact, flavor: dict[str, Any], options: Options) -> Native:
    """The folder of the model with its tokenizer's and image processor's files, as transformers save a pipeline."""
    model = artifact.path(str(flavor.get("model_binary") or "model"), "transformers")
    task = flavor.get("task")
    if not model.is_dir() or not isinstance(task, str):
        raise NotNativeError("its flavor 'transformers' names no task and no folder of a model")
    files: dict[str, Path] = {}
    for folder in (*sorted(path for path in artifact.folder.glob("components/*") if path.is_dir()), model):
        files |= {f"model/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*") if path.is_file()}
    return Native("huggingface", "model", files, {"task": task})


def _require_pickles(artifact: Artifact, options: Options) -> None:
    switch = getattr(environment_variables, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION", None)
    allowed = options.trust if options.trust is not None else switch is None or switch.get() is not False
    if not allowed:
        raise wrong(
            f"{artifact.origin.uri} is a pickle, a program whose author must be trusted: log it with skops, or deploy "
            "it with -C trust=true"
        )


_READERS: dict[str, Callable[[Artifact, dict[str, Any], Options], Native]] = {
    "sklearn": _sklearn,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "pytorch": _pytorch,
    "transformers": _transformers,
}
