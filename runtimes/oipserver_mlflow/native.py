"""Models of known frameworks loaded by these alone, without MLflow: what is called, and with what; knows no tensor."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from oipserver_frameworks import import_framework, thread_share, threads_for

from oipserver import OIPError
from oipserver.errors import ModelLoadError
from oipserver.repository.mlmodel import PYFUNC, MLmodel

from .switches import CODE, PICKLES, inside, require

_FLAVORS = ("lightgbm", "sklearn", "xgboost")
_PICKLED = "is a pickle or names the types to load by itself"
# Estimators of other packages may look at the table they are given.
_ARRAYS_WILL_DO = ("sklearn.", "xgboost.", "lightgbm.")
_LOOK_AT_TABLES = ("ColumnTransformer", "FunctionTransformer")


@dataclass(frozen=True, slots=True)
class NativeModel:
    """A loaded model: ``predict`` takes a table or an array. ``arrays`` tells that an array of a table's columns, in
    their order, gives the same; ``failures`` are what the framework raises for data that do not fit."""

    predict: Callable[[Any], Any]
    arrays: bool
    failures: tuple[type[Exception], ...] = ()


def can_be_native(described: MLmodel) -> bool:
    """Whether a model needs no MLflow: one of a framework we know, called with data alone."""
    return (
        described.native_flavor in _FLAVORS
        and not described.params
        and not described.from_type_hint
        and not described.flavors[PYFUNC].get("config")
    )


def open_native(described: MLmodel, folder: Path, model: str) -> NativeModel:
    """Load the model in ``folder``. Raises ModelLoadError."""
    flavor = described.native_flavor
    options, pyfunc = described.flavors[flavor], described.flavors[PYFUNC]
    _add_code(pyfunc, folder, model)
    try:
        if flavor == "xgboost":
            return _xgboost(options, folder, model)
        if flavor == "lightgbm" and options.get("model_class", "lightgbm.basic.Booster") == "lightgbm.basic.Booster":
            return _lightgbm(options, folder, model)
        return _estimator(options, pyfunc, folder, model)
    except OIPError:
        raise
    except ModuleNotFoundError as error:
        raise ModelLoadError(f"model '{model}' needs the module '{error.name}', which is not installed here") from error
    except Exception as error:
        raise ModelLoadError(
            f"model '{model}' cannot be read ({type(error).__name__}: {error}). Files of other versions may not load: "
            f"install what {folder / 'requirements.txt'} names"
        ) from error


def _add_code(pyfunc: Mapping[str, Any], folder: Path, model: str) -> None:
    """Let modules that were saved with the model be found."""
    if code := pyfunc.get("code"):
        require(CODE, model, "brings code of its own")
        path = str(inside(folder, code, model))
        if path not in sys.path:
            sys.path.insert(0, path)


def _xgboost(options: Mapping[str, Any], folder: Path, model: str) -> NativeModel:
    xgboost = import_framework("xgboost", '"oipserver[xgboost]"', model)
    kind = str(options.get("model_class", "xgboost.core.Booster"))
    if not kind.startswith("xgboost."):
        raise ModelLoadError(f"model '{model}': expected a class of xgboost in MLmodel, got '{kind}'")
    loaded = getattr(xgboost, kind.rpartition(".")[2])()
    loaded.load_model(str(inside(folder, options.get("data"), model)))
    if not isinstance(loaded, xgboost.Booster):
        loaded.set_params(n_jobs=thread_share())
        return NativeModel(loaded.predict, arrays=True)
    loaded.set_param({"nthread": thread_share()})

    def predict(data: Any) -> Any:
        names = loaded.feature_names if isinstance(data, np.ndarray) else None
        return loaded.predict(xgboost.DMatrix(data, feature_names=names))

    return NativeModel(predict, arrays=True)


def _lightgbm(options: Mapping[str, Any], folder: Path, model: str) -> NativeModel:
    lightgbm = import_framework("lightgbm", '"oipserver[lightgbm]"', model)
    booster = lightgbm.Booster(model_file=str(inside(folder, options.get("data"), model)))
    trees, share = booster.num_trees(), thread_share()

    def predict(data: Any) -> Any:
        return booster.predict(data, num_threads=threads_for(len(data), trees, share))

    return NativeModel(predict, arrays=not booster.pandas_categorical, failures=(lightgbm.basic.LightGBMError,))


def _estimator(options: Mapping[str, Any], pyfunc: Mapping[str, Any], folder: Path, model: str) -> NativeModel:
    require(CODE, model, "runs code when it is loaded")
    require(PICKLES, model, _PICKLED)
    import_framework("sklearn", '"oipserver[sklearn]"', model)
    # A model fitted on a table may be given an array of the same columns, which is what we do: once is too often.
    warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
    path = inside(folder, options.get("pickled_model") or options.get("data") or pyfunc.get("model_path"), model)
    form = options.get("serialization_format", "pickle")
    if form == "skops":
        skops = import_framework("skops.io", "skops", model)
        estimator = skops.load(path, trusted=options.get("skops_trusted_types"))
    else:
        pickles = import_framework("cloudpickle" if form == "cloudpickle" else "pickle", "cloudpickle", model)
        with path.open("rb") as file:
            estimator = pickles.load(file)
    _limit_threads(estimator)
    function = str(pyfunc.get("predict_fn", "predict"))
    if not callable(getattr(estimator, function, None)):
        raise ModelLoadError(f"model '{model}': a {type(estimator).__name__} has no method '{function}'")
    return NativeModel(getattr(estimator, function), arrays=_is_plain(estimator))


def _limit_threads(estimator: Any) -> None:
    """Give estimators that were saved with several jobs (often -1, all cores) this model's share of the cores."""
    if hasattr(estimator, "get_params"):
        known = estimator.get_params(deep=True)
        several = [name for name in known if name.rpartition("__")[2] == "n_jobs" and known[name] not in (None, 1)]
        estimator.set_params(**dict.fromkeys(several, thread_share()))


def _is_plain(estimator: Any) -> bool:
    """Whether every part of ``estimator`` computes with arrays alone."""
    parts = [estimator]
    if hasattr(estimator, "get_params"):
        parts += [part for part in estimator.get_params(deep=True).values() if hasattr(part, "get_params")]
    return all(
        type(part).__module__.startswith(_ARRAYS_WILL_DO) and type(part).__name__ not in _LOOK_AT_TABLES
        for part in parts
    )
