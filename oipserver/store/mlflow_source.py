"""MLflow models from wherever MLflow keeps them, and what it knows of their runs; imports MLflow only when asked."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import InvalidArgumentError, NotFoundError
from ..repository.mlflow_lookup import Origin, asking, download, import_mlflow, require_model, resolve
from ..settings.places import local_path
from .record import COMPILED

_RUN = re.compile(r"runs:/([^/]+)/.+")
# What get_artifact_uri() gives: the place of a run's files, and a path there.
_IN_RUN = re.compile(r".*/([0-9a-f]{32})/artifacts/(.+?)/?")
_INTERNAL_TAG = "mlflow."


@dataclass(slots=True)
class RunData:
    """What MLflow knows of a model's training."""

    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def metadata(self) -> dict[str, Any]:
        """As it is kept with a stored model."""
        return {"params": self.params, "metrics": self.metrics, "tags": self.tags}

    def labels(self) -> dict[str, str]:
        """The tags that people gave, not those that MLflow writes for itself."""
        return {key: str(value) for key, value in self.tags.items() if not key.startswith(_INTERNAL_TAG)}


def fetch_model(uri: str, target: Path) -> str:
    """Put the MLflow model at ``uri`` into ``target``, which is not there yet; the URI of exactly what was fetched.

    ``uri`` is a local folder, or anything that MLflow can resolve. Raises NotFoundError, and InvalidArgumentError where
    it is no MLflow model or MLflow is needed and missing, with what MLflow says.
    """
    local = local_path(uri)
    if local is not None and local.is_dir():
        require_model(local, uri)
        _copy(local, target)
        return str(local.absolute())
    in_run = _IN_RUN.fullmatch(uri)
    if local is None:
        try:
            return _downloaded(resolve(uri), target)
        except (NotFoundError, InvalidArgumentError):
            if in_run is None:
                raise
    elif in_run is None or find_spec("mlflow") is None:
        raise NotFoundError(f"there is no folder {local}")
    # Since MLflow 3 models that a run logged lie elsewhere: the run knows where.
    return _downloaded(Origin(uri, f"runs:/{in_run[1]}/{in_run[2]}"), target)


def _downloaded(origin: Origin, target: Path) -> str:
    download(origin, target)
    return origin.resolved


def fetch_run(uri: str, described: dict[str, Any]) -> RunData:
    """Parameters, metrics and tags of the run and the logged model that ``described`` (an MLmodel) or ``uri`` name.

    Raises InvalidArgumentError where neither names any, or MLflow does not know it.
    """
    named = _RUN.fullmatch(uri)
    run_id = described.get("run_id") or (named[1] if named else "")
    model_id = described.get("model_id")
    if not run_id and not model_id:
        raise InvalidArgumentError(f"{uri} was not logged in a run: there are no parameters, metrics and tags")
    mlflow = import_mlflow(uri)
    data = RunData()
    if run_id:
        run = asking(uri, mlflow.get_run, run_id).data
        data = RunData(dict(run.params), dict(run.metrics), dict(run.tags))
    if model_id:
        logged = asking(uri, mlflow.get_logged_model, model_id)
        data.params |= dict(logged.params or {})
        data.metrics |= {metric.key: metric.value for metric in logged.metrics or ()}
        data.tags |= {key: str(value) for key, value in (logged.tags or {}).items()}
    return data


def _copy(folder: Path, target: Path) -> None:
    try:  # the files that links mean: a stored model stands by itself
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns(COMPILED))
    except (OSError, shutil.Error) as error:
        raise InvalidArgumentError(f"cannot copy {folder}: {error}") from error
