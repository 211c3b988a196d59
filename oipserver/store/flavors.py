"""Which runtime serves an MLflow model of the store, told by its MLmodel; reads no artefact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import InvalidArgumentError
from ..repository.mlflow_layout import mlflow_model
from ..repository.mlmodel import PYFUNC, MLmodel, read_mlmodel
from ..settings import Environment
from .record import stays_inside

Flavor = Mapping[str, Any]
#: An implementation, and the parameters of its model settings; ``uri`` is relative to the model's folder.
Serving = tuple[str, dict[str, Any]]

MLFLOW = "mlflow"


def _data(flavor: Flavor) -> str:
    return str(flavor.get("data"))


def _pickled(flavor: Flavor) -> str:
    return str(flavor.get("pickled_model"))


def _binary(flavor: Flavor) -> str:
    return str(flavor.get("data")) if flavor.get("save_format", "cbm") == "cbm" else ""


def _exported(flavor: Flavor) -> str:
    """An exported program; a pickled module needs the code that it was made with, which MLflow sees to."""
    return f"{flavor.get('model_data')}/model.pt2"


# The runtime of each flavor, and the artefact in the model's folder that it reads.
_RUNTIMES: dict[str, tuple[str, Callable[[Flavor], str]]] = {
    "onnx": ("onnx", _data),
    "pytorch": ("torch", _exported),
    "catboost": ("catboost", _binary),
    "sklearn": ("sklearn", _pickled),
    "xgboost": ("xgboost", _data),
    "lightgbm": ("lightgbm", _data),
}
# Those that MLflow's runtime does not load by their frameworks alone.
_BETTER_APART = ("pytorch", "catboost")


def serving(folder: Path, forced: str = "") -> Serving:
    """How the MLflow model in ``folder`` is served: as the server serves that folder by itself, except that PyTorch's
    exported programs and CatBoost's files with arrays as inputs go to runtimes that need no MLflow.

    ``forced`` is a flavor (``sklearn``, ``python_function``) or a runtime (``torch``, ``mlflow``) to be used instead.
    Raises InvalidArgumentError for what cannot be read or served.
    """
    described = read_mlmodel(folder)
    if forced in (PYFUNC, MLFLOW):
        return _by_mlflow(described)
    if forced:
        return _forced(described, folder, forced)
    told = mlflow_model(folder, "", Environment({}))
    if told.implementation == MLFLOW:
        apart = (_by_framework(described, folder, name) for name in _BETTER_APART if _takes_arrays(described))
        return next(filter(None, apart), None) or _by_mlflow(described)
    parameters: dict[str, Any] = {"uri": Path(told.parameters.uri or "").relative_to(folder.absolute()).as_posix()}
    if told.parameters.extra:
        parameters["extra"] = told.parameters.extra
    return told.implementation, parameters


def _forced(described: MLmodel, folder: Path, forced: str) -> Serving:
    for name, (runtime, _) in _RUNTIMES.items():
        if forced in (name, runtime) and (found := _by_framework(described, folder, name)):
            return found
    can = [name for name in _RUNTIMES if _by_framework(described, folder, name)]
    can += [PYFUNC] if PYFUNC in described.flavors else []
    raise InvalidArgumentError(
        f"nothing in it can be served as '{forced}'; it can be as {' or '.join(can) or 'nothing'}"
    )


def _by_framework(described: MLmodel, folder: Path, name: str) -> Serving | None:
    """The runtime of the flavor ``name``, where the model has that and an artefact that the runtime reads."""
    runtime, artefact_of = _RUNTIMES[name]
    flavor = described.flavors.get(name)
    if flavor is None:
        return None
    artefact = artefact_of(flavor)
    if not artefact or not stays_inside(artefact) or not (folder / artefact).exists():
        return None
    trusted = flavor.get("skops_trusted_types")
    return runtime, {"uri": artefact} | ({"extra": {"trusted_types": trusted}} if trusted else {})


def _by_mlflow(described: MLmodel) -> Serving:
    if PYFUNC not in described.flavors:
        raise InvalidArgumentError(
            f"no runtime serves it: its flavors are {', '.join(described.flavors)}; expected {PYFUNC}, or one of "
            f"{', '.join(_RUNTIMES)}"
        )
    return MLFLOW, {"uri": "."}


def _takes_arrays(described: MLmodel) -> bool:
    return described.inputs is None or (described.takes_tensors and not described.from_type_hint)
