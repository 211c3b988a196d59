"""What a booster computes, in the terms of XGBoost's scikit-learn interface, without needing scikit-learn."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from oipserver_frameworks import thread_share, threads_for

_BINARY = ("binary:logistic",)
_MULTI = ("multi:softprob",)
_KINDS = {"classifier": "XGBClassifier", "regressor": "XGBRegressor", "ranker": "XGBRanker"}

Array = np.ndarray[Any, Any]


class BoosterFunctions:
    """``predict`` and ``predict_proba`` of one booster, one call at a time: its number of threads is the booster's.

    Its ``kind`` is the class it was saved by; a booster saved by itself is an XGBRegressor, which gives its values as
    they are.
    """

    def __init__(self, xgboost: Any, booster: Any, learner: dict[str, Any]) -> None:
        self._xgboost = xgboost
        self._booster = booster
        self._trees_in_all = booster.num_boosted_rounds()
        self._share = thread_share()
        self._threads = 0
        self._objective: str = learner["objective"]["name"]
        self._in_place = learner["gradient_booster"]["name"] != "gblinear"  # which has no in-place prediction
        attributes = booster.attributes()
        saved_by = json.loads(attributes.get("scikit_learn", "{}")).get("_estimator_type", "regressor")
        self._labels = saved_by == "classifier"
        self.kind = _KINDS.get(saved_by, "XGBRegressor")
        best = attributes.get("best_iteration")
        self._trees = (0, int(best) + 1) if best is not None else (0, 0)

    @property
    def knows_probabilities(self) -> bool:
        """Whether the objective gives probabilities of classes, or the model was saved as a classifier."""
        return self._labels or self._objective in (*_BINARY, *_MULTI)

    def predict(self, data: Any) -> Array:
        """Labels of a classifier, else the objective's values."""
        values = self._values(data)
        if not self._labels:
            return values
        if values.ndim > 1 and values.shape[1] > 1 and self._objective.startswith("binary"):
            return (values > 0.5).astype(np.int64)  # several labels for each row
        if values.ndim > 1:
            return np.asarray(values.argmax(axis=1))
        if self._objective == "multi:softmax":
            return values.astype(np.int64)
        return (values > 0.5).astype(np.int64)

    def predict_proba(self, data: Any) -> Array:
        """A probability for each class."""
        values = self._values(data)
        if values.ndim > 1:
            return values
        return np.stack((1.0 - values, values), axis=1)

    def _values(self, data: Any) -> Array:
        booster = self._booster
        threads = threads_for(len(data), self._trees_in_all, self._share)
        if threads != self._threads:
            booster.set_param({"nthread": threads})
            self._threads = threads
        if self._in_place:
            return np.asarray(booster.inplace_predict(data, iteration_range=self._trees))
        return np.asarray(booster.predict(self._xgboost.DMatrix(data), iteration_range=self._trees))
