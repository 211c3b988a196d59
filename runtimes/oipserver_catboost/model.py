"""CatboostModel: a CatBoost classifier, regressor or ranker as a model of the server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from oipserver_frameworks import Artefact, Predictor, TableModel, import_framework, thread_share, threads_for

from oipserver.errors import ModelLoadError

_REQUIREMENT = '"oipserver[catboost]"'
_FORMATS = {".cbm": "cbm", ".bin": "cbm", ".json": "json"}
_CLASSES = ("Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll", "MultiLogloss", "MultiCrossEntropy")
_RANKS = (
    "YetiRank",
    "YetiRankPairwise",
    "PairLogit",
    "PairLogitPairwise",
    "QueryRMSE",
    "QuerySoftMax",
    "QueryCrossEntropy",
    "StochasticRank",
    "LambdaMart",
    "GroupQuantile",
)


class CatboostModel(TableModel):
    """Serves what ``save_model`` of CatBoost wrote, by the class that its loss function belongs to.

    ``predict`` gives labels of a classifier, values of a regressor, scores of a ranker; ``predict_proba`` a column for
    every class.
    """

    artefact: ClassVar[Artefact] = Artefact("CatBoost", ("model.cbm", "model.bin", "model.json"), tuple(_FORMATS))
    platform: ClassVar[str] = "catboost"

    def open(self, path: Path) -> Predictor:
        """Read the model and find out what it is. Raises ModelLoadError."""
        catboost = import_framework("catboost", _REQUIREMENT, self.name)
        try:
            model, loss = _read(catboost, path)
        except catboost.CatBoostError as error:
            raise ModelLoadError(
                f"model '{self.name}': '{path}' is no model that CatBoost {catboost.__version__} can read: "
                f"{str(error).splitlines()[0]}"
            ) from error
        self._kind = type(model).__name__
        names = self.outputs_known if loss in _CLASSES else ("predict",)
        categories = bool(model.get_cat_feature_indices() or model.get_text_feature_indices())
        return Predictor(
            functions={name: _threaded(getattr(model, name), model.tree_count_) for name in names},
            features=None if categories else len(model.feature_names_),
            feature_names=_given_names(model),
            datatype="FP32",
            failures=(catboost.CatBoostError,),
        )

    def refusal(self, output: str) -> str:
        """Why there are no probabilities."""
        return f"{self._kind} models do not support '{output}'"


def _read(catboost: Any, path: Path) -> tuple[Any, str]:
    """The model, as the class of its loss function, and that function's name."""
    form = _FORMATS.get(path.suffix, "cbm")
    model = catboost.CatBoost()
    model.load_model(str(path), format=form)
    loss = str(model.get_all_params().get("loss_function", "")).partition(":")[0]
    kind = catboost.CatBoostClassifier if loss in _CLASSES else catboost.CatBoostRegressor
    if loss in _RANKS:
        kind = catboost.CatBoostRanker
    model = kind()
    model.load_model(str(path), format=form)
    return model, loss


def _threaded(function: Callable[..., Any], trees: int) -> Callable[[Any], Any]:
    """``function`` with as many threads as the rows it is given are worth."""
    share = thread_share()
    return lambda data: function(data, thread_count=threads_for(len(data), trees, share))


def _given_names(model: Any) -> tuple[str, ...]:
    """The names of the columns, where the model was trained with names."""
    names = tuple(map(str, model.feature_names_))
    return () if names == tuple(map(str, range(len(names)))) else names
