"""XGBoostModel: an XGBoost booster as a model of the server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from oipserver_frameworks import Artefact, Predictor, TableModel, import_framework

from oipserver.errors import ModelLoadError

from .booster import BoosterFunctions

_REQUIREMENT = '"oipserver[xgboost]"'


class XGBoostModel(TableModel):
    """Serves what ``save_model`` of XGBoost's boosters, classifiers, regressors and rankers wrote.

    ``predict`` of a saved XGBClassifier gives labels, of everything else what the objective gives: values, scores, or
    probabilities of a booster that was trained without scikit-learn's interface. ``predict_proba`` is there for every
    objective that knows probabilities.
    """

    artefact: ClassVar[Artefact] = Artefact(
        "XGBoost", ("model.bst", "model.json", "model.ubj"), (".bst", ".json", ".ubj", ".model")
    )
    platform: ClassVar[str] = "xgboost"

    def open(self, path: Path) -> Predictor:
        """Read the booster and its objective. Raises ModelLoadError."""
        xgboost = import_framework("xgboost", _REQUIREMENT, self.name)
        try:
            booster = xgboost.Booster(model_file=str(path))
            learner = json.loads(booster.save_config())["learner"]
        except xgboost.core.XGBoostError as error:
            raise ModelLoadError(
                f"model '{self.name}': '{path}' is no model that XGBoost {xgboost.__version__} can read: "
                f"{_first_line(error)}"
            ) from error
        functions = BoosterFunctions(xgboost, booster, learner)
        self._kind = functions.kind
        return Predictor(
            functions={"predict": functions.predict}
            | ({"predict_proba": functions.predict_proba} if functions.knows_probabilities else {}),
            features=booster.num_features(),
            feature_names=tuple(booster.feature_names or ()),
            datatype="FP32",
            failures=(xgboost.core.XGBoostError,),
        )

    def refusal(self, output: str) -> str:
        """As MLServer words it, whose last quote is missing."""
        return f"{self._kind} models do not support '{output}"


def _first_line(error: Any) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
