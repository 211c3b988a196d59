"""From the ``implementation`` of a model's settings to its class; imports user code and nothing of the server."""

from __future__ import annotations

import importlib
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from ..errors import ModelLoadError
from ..model import MLModel, Placement
from ..settings import ModelSettings
from . import mlserver_alias
from .user_code import forget, holds_module, import_from

_ENTRY_POINT_GROUP = "oipserver.runtimes"

# Class paths other servers' users have in their settings, and the runtime of ours that serves them.
_CLASS_PATHS = {
    "mlserver_onnx.OnnxModel": "onnx",
    "mlserver_onnx.onnx.OnnxModel": "onnx",
    "mlserver_sklearn.SKLearnModel": "sklearn",
    "mlserver_sklearn.sklearn.SKLearnModel": "sklearn",
    "mlserver_xgboost.XGBoostModel": "xgboost",
    "mlserver_xgboost.xgboost.XGBoostModel": "xgboost",
    "mlserver_lightgbm.LightGBMModel": "lightgbm",
    "mlserver_lightgbm.lightgbm.LightGBMModel": "lightgbm",
    "mlserver_catboost.CatboostModel": "catboost",
    "mlserver_catboost.catboost.CatboostModel": "catboost",
    "mlserver_huggingface.HuggingFaceRuntime": "huggingface",
    "mlserver_huggingface.runtime.HuggingFaceRuntime": "huggingface",
    "mlserver_mlflow.MLflowRuntime": "mlflow",
    "mlserver_mlflow.runtime.MLflowRuntime": "mlflow",
}


@cache
def _runtimes() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=_ENTRY_POINT_GROUP)}


def _runtime(implementation: str) -> EntryPoint | None:
    return _runtimes().get(_CLASS_PATHS.get(implementation, implementation))


def runtime_name(implementation: str) -> str | None:
    """The name of the runtime that an implementation means; None for a class of a user's own."""
    runtime = _runtime(implementation)
    return runtime.name if runtime is not None else None


def placement_of(settings: ModelSettings) -> Placement:
    """Where this model runs when nobody says, told without importing a user's module."""
    runtime = _runtime(settings.implementation)
    return resolve_class(settings).placement if runtime is not None else "pool"


def resolve_class(settings: ModelSettings) -> type[MLModel]:
    """The class named by ``settings.implementation``: a runtime's name, or ``module.Class``.

    A module beside the settings file is found, also one whose name is no identifier (``serve-model``).
    Raises ModelLoadError naming the model and what could not be found.
    """
    implementation = settings.implementation
    if not implementation:
        raise ModelLoadError(
            f"model '{settings.name}' names no implementation; give a runtime ({', '.join(sorted(_runtimes()))}) "
            "or the import path of an MLModel class"
        )
    runtime = _runtime(implementation)
    kind = runtime.load() if runtime is not None else _import_class(settings)
    if not (isinstance(kind, type) and issubclass(kind, MLModel)):
        raise ModelLoadError(
            f"model '{settings.name}': implementation '{implementation}' is not an MLModel class{_whose(kind)}"
        )
    return kind


def _whose(kind: object) -> str:
    """Why a class that looks like a model is none, where that can be told."""
    bases = kind.__mro__ if isinstance(kind, type) else ()
    if not any(f"{base.__module__}.".startswith("mlserver.") for base in bases):
        return ""
    return " of this server, but one of the installed package mlserver; uninstall that to serve it here"


def _import_class(settings: ModelSettings) -> object:
    implementation = settings.implementation
    module_name, _, class_name = implementation.rpartition(".")
    if not module_name:
        raise ModelLoadError(
            f"model '{settings.name}': no runtime is called '{implementation}'; known are "
            f"{', '.join(sorted(_runtimes()))}, or give module.Class"
        )
    mlserver_alias.install()
    try:
        module = _import_module(settings, module_name)
    except Exception as error:
        raise ModelLoadError(
            f"model '{settings.name}': cannot import '{module_name}': {type(error).__name__}: {error}"
        ) from error
    try:
        return getattr(module, class_name)
    except AttributeError:
        raise ModelLoadError(f"model '{settings.name}': module '{module_name}' has no class '{class_name}'") from None


def _import_module(settings: ModelSettings, name: str) -> ModuleType:
    """A module beside the settings file, apart from all others of its name; else any that can be imported."""
    if settings.source:
        folder = Path(settings.source).resolve().parent
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))  # for what is named inside artefacts, as pickles do
        if holds_module(folder, name):
            return import_from(folder, name, settings.name)
    return importlib.import_module(name)


def release_class(kind: type[MLModel]) -> None:
    """Let go of the modules that were imported for ``kind`` alone; its instances go on working."""
    forget(kind.__module__)
