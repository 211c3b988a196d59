"""LightGBMModel: a LightGBM booster, or a pickled model of its scikit-learn interface, as a model of the server."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from oipserver_frameworks import Artefact, Predictor, TableModel, import_framework, thread_share, threads_for

from oipserver.errors import ModelLoadError

_log = logging.getLogger(__name__)

_REQUIREMENT = '"oipserver[lightgbm]"'
_PICKLES = (".joblib", ".pickle", ".pkl")
_BINARY = ("binary", "cross_entropy", "xentropy")
_MULTI = ("multiclass", "softmax", "multiclassova", "multiclass_ova", "ova", "ovr")

Array = np.ndarray[Any, Any]
Functions = dict[str, Callable[[Any], Any]]


class LightGBMModel(TableModel):
    """Serves what ``Booster.save_model`` wrote, or pickled LGBMClassifier, LGBMRegressor and LGBMRanker objects.

    ``predict`` of a booster is what its objective gives: values, scores or probabilities; of a pickled LGBMClassifier,
    labels. ``predict_proba`` has a column for every class. Pickles and joblib files are programs: serve only files you
    trust.
    """

    artefact: ClassVar[Artefact] = Artefact(
        "LightGBM",
        ("model.bst", "model.txt", "model.joblib", "model.pickle", "model.pkl"),
        (".bst", ".txt", ".lgb", ".model", *_PICKLES),
    )
    platform: ClassVar[str] = "lightgbm"

    def open(self, path: Path) -> Predictor:
        """Read the booster or unpickle the model. Raises ModelLoadError."""
        lightgbm = import_framework("lightgbm", _REQUIREMENT, self.name)
        lightgbm.register_logger(_log)  # it prints otherwise
        if path.suffix in _PICKLES:
            booster, functions = self._pickled(lightgbm, path)
        else:
            booster, functions = self._saved(lightgbm, path)
        return Predictor(
            functions=functions,
            features=booster.num_feature(),
            feature_names=_given_names(booster),
            datatype="FP64",
            failures=(lightgbm.basic.LightGBMError,),
        )

    def _saved(self, lightgbm: Any, path: Path) -> tuple[Any, Functions]:
        try:
            booster = lightgbm.Booster(model_file=str(path))
        except lightgbm.basic.LightGBMError as error:
            raise ModelLoadError(
                f"model '{self.name}': '{path}' is no model that LightGBM {lightgbm.__version__} can read: {error}"
            ) from error
        return booster, self._functions(booster)

    def _functions(self, booster: Any) -> Functions:
        trees, share = booster.num_trees(), thread_share()

        def predict(data: Any) -> Any:
            return booster.predict(data, num_threads=threads_for(len(data), trees, share))

        self._kind = objective = _objective(booster)
        if objective in _MULTI:
            return {"predict": predict, "predict_proba": predict}
        if objective in _BINARY:
            return {"predict": predict, "predict_proba": lambda data: _two_columns(predict(data))}
        return {"predict": predict}

    def _pickled(self, lightgbm: Any, path: Path) -> tuple[Any, Functions]:
        joblib = import_framework("joblib", _REQUIREMENT, self.name)
        try:
            model = joblib.load(path)
        except Exception as error:
            raise ModelLoadError(
                f"model '{self.name}': '{path}' cannot be read with LightGBM {lightgbm.__version__} "
                f"({type(error).__name__}: {error})"
            ) from error
        if isinstance(model, lightgbm.Booster):
            return model, self._functions(model)
        if not isinstance(model, lightgbm.LGBMModel):
            raise ModelLoadError(
                f"model '{self.name}': '{path}' holds a {type(model).__name__}; expected a LightGBM model. "
                'Pipelines and models of other libraries are served by implementation "sklearn"'
            )
        model.set_params(n_jobs=thread_share())
        self._kind = type(model).__name__
        functions = {name: getattr(model, name) for name in self.outputs_known if hasattr(model, name)}
        return model.booster_, functions

    def refusal(self, output: str) -> str:
        """Why there are no probabilities."""
        return f"{self._kind} models do not support '{output}'"


def _objective(booster: Any) -> str:
    """The objective's name; "custom" where the model was trained with a function of its own."""
    told = str(booster.dump_model(num_iteration=1).get("objective", "")).split()
    return told[0] if told else "custom"


def _two_columns(positive: Array) -> Array:
    return np.stack((1.0 - positive, positive), axis=1)


def _given_names(booster: Any) -> tuple[str, ...]:
    """The names of the columns, where the model was trained with names."""
    names = tuple(booster.feature_name())
    return () if names == tuple(f"Column_{index}" for index in range(len(names))) else names
