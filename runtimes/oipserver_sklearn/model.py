"""SKLearnModel: a scikit-learn estimator or pipeline as a model of the server."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar

from oipserver_frameworks import Artefact, Predictor, TableModel, thread_share

from oipserver.errors import ModelLoadError

from .columns import columns_of, describe, example_of
from .loading import read_estimator

_OUTPUTS = ("predict", "predict_proba", "transform")


class SKLearnModel(TableModel):
    """Serves what ``joblib.dump``, ``pickle.dump`` or ``skops.io.dump`` wrote: an estimator, a pipeline, a transformer.

    Joblib and pickle files are programs: whoever can write one runs code in this server. Serve only files you trust;
    skops files hold data and name the types they need (``parameters.extra.trusted_types``).

    ``parameters.extra``: ``predict_fn``, the method that answers requests which name no output (``predict``);
    ``n_jobs``, threads of those estimators that were saved with ``n_jobs`` set; ``trusted_types``.
    """

    artefact: ClassVar[Artefact] = Artefact(
        "scikit-learn",
        ("model.joblib", "model.pickle", "model.pkl", "model.skops"),
        (".joblib", ".pickle", ".pkl", ".skops"),
    )
    platform: ClassVar[str] = "sklearn"
    outputs_known: ClassVar[tuple[str, ...]] = _OUTPUTS

    def open(self, path: Path) -> Predictor:
        """Read the estimator and see what it can do. Raises ModelLoadError."""
        estimator = read_estimator(path, self.settings)
        # A model fitted on a table may be given an array of the same columns, as its users know: once is enough.
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        self._limit_threads(estimator)
        self._last = _last_step(estimator)
        names = (*_OUTPUTS, *self._chosen_function())
        functions = {name: getattr(estimator, name) for name in names if callable(getattr(estimator, name, None))}
        if not functions:
            raise ModelLoadError(
                f"model '{self.name}': '{path}' holds a {type(estimator).__name__}, which has none of "
                f"{', '.join(_OUTPUTS)}"
            )
        columns = columns_of(estimator)
        return Predictor(
            functions=functions,
            features=_count(getattr(estimator, "n_features_in_", None)),
            feature_names=tuple(map(str, getattr(estimator, "feature_names_in_", ()))),
            columns=describe(columns),
            example=example_of(columns),
        )

    def default_outputs(self, predictor: Predictor) -> tuple[str, ...]:
        """``predict_fn``; without one ``predict``, or ``transform`` where a model can only do that."""
        for name in self._chosen_function():
            if name not in predictor.functions:
                raise ModelLoadError(
                    f"model '{self.name}': parameters.extra.predict_fn is '{name}', which a "
                    f"{type(self._last).__name__} does not have; it has {', '.join(predictor.functions)}"
                )
            return (name,)
        return ("predict",) if "predict" in predictor.functions or len(predictor.functions) > 1 else ("transform",)

    def _chosen_function(self) -> tuple[str, ...]:
        name = self.settings.parameters.extra.get("predict_fn")
        if name is None:
            return ()
        if not isinstance(name, str):
            raise ModelLoadError(
                f"model '{self.name}': parameters.extra.predict_fn: expected the name of a method, got {name!r}"
            )
        return (name,)

    def refusal(self, output: str) -> str:
        """As MLServer words it, whose last quote is missing."""
        return f"{type(self._last)} models do not support '{output}"

    def _limit_threads(self, estimator: Any) -> None:
        """Give estimators that were saved with several jobs (often -1, all cores) this model's share of the cores."""
        told = self.settings.parameters.extra.get("n_jobs")
        if told is not None and (not isinstance(told, int) or isinstance(told, bool) or told == 0):
            raise ModelLoadError(
                f"model '{self.name}': parameters.extra.n_jobs: expected an integer other than 0, got {told!r}"
            )
        if not hasattr(estimator, "get_params"):
            return
        jobs = {
            name: told or thread_share()
            for name, value in estimator.get_params(deep=True).items()
            if name.rpartition("__")[2] == "n_jobs" and value not in (None, 1)
        }
        if jobs:
            estimator.set_params(**jobs)


def _last_step(estimator: Any) -> Any:
    steps = getattr(estimator, "steps", None)
    return steps[-1][-1] if isinstance(steps, list) and steps else estimator


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, int) else None
