"""MLflow models from wherever MLflow keeps them, and what it knows of their runs; imports MLflow only when asked."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..errors import InvalidArgumentError, NotFoundError, OIPError
from ..repository.mlmodel import MLMODEL_FILE
from .record import COMPILED

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # two letters at least: "c:/" is a drive
_ALIAS = re.compile(r"models:/([^/@]+)@([^/]+)")
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
    local = _local_folder(uri)
    if local is not None and local.is_dir():
        _require_model(local, uri)
        _copy(local, target)
        return str(local.absolute())
    in_run = _IN_RUN.fullmatch(uri)
    if local is None:
        mlflow = import_mlflow(uri)
        try:
            return _download(mlflow, uri, _resolved(mlflow, uri), target)
        except (NotFoundError, InvalidArgumentError):
            if in_run is None:
                raise
    elif in_run is None or find_spec("mlflow") is None:
        raise NotFoundError(f"there is no folder {local}")
    # Since MLflow 3 models that a run logged lie elsewhere: the run knows where.
    return _download(import_mlflow(uri), uri, f"runs:/{in_run[1]}/{in_run[2]}", target)


def _download(mlflow: Any, uri: str, resolved: str, target: Path) -> str:
    scratch = target.with_name(f".{target.name}")
    scratch.mkdir()
    try:
        found = Path(_asking(uri, mlflow.artifacts.download_artifacts, artifact_uri=resolved, dst_path=str(scratch)))
        _require_model(found, uri)
        found.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return resolved


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
        run = _asking(uri, mlflow.get_run, run_id).data
        data = RunData(dict(run.params), dict(run.metrics), dict(run.tags))
    if model_id:
        logged = _asking(uri, mlflow.get_logged_model, model_id)
        data.params |= dict(logged.params or {})
        data.metrics |= {metric.key: metric.value for metric in logged.metrics or ()}
        data.tags |= {key: str(value) for key, value in (logged.tags or {}).items()}
    return data


def import_mlflow(why: str) -> Any:
    """MLflow. Raises InvalidArgumentError saying what needs it, where it is not installed."""
    try:
        import mlflow
    except ImportError as error:
        raise InvalidArgumentError(
            f'{why} needs MLflow, which cannot be imported ({error}): pip install "oipserver[mlflow]"'
        ) from None
    return mlflow


def _local_folder(uri: str) -> Path | None:
    if uri.lower().startswith("file:"):
        return Path(unquote(urlsplit(uri).path))
    return None if _SCHEME.match(uri) else Path(uri)


def _require_model(folder: Path, uri: str) -> None:
    if not (folder / MLMODEL_FILE).is_file():
        raise InvalidArgumentError(f"{uri} is no MLflow model: there is no {MLMODEL_FILE} in it")


def _copy(folder: Path, target: Path) -> None:
    try:  # the files that links mean: a stored model stands by itself
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns(COMPILED))
    except (OSError, shutil.Error) as error:
        raise InvalidArgumentError(f"cannot copy {folder}: {error}") from error


def _resolved(mlflow: Any, uri: str) -> str:
    """The version that an alias means now: what is written down and what is fetched are to be the same."""
    found = _ALIAS.fullmatch(uri)
    if found is None:
        return uri
    version = _asking(uri, mlflow.MlflowClient().get_model_version_by_alias, found[1], found[2]).version
    return f"models:/{found[1]}/{version}"


def _asking(uri: str, call: Any, *arguments: Any, **keywords: Any) -> Any:
    """What ``call`` gives. MLflow's errors, and those of the places it asks, become ours."""
    try:
        return call(*arguments, **keywords)
    except OIPError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:500] or type(error).__name__
        kind = NotFoundError if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST" else InvalidArgumentError
        raise kind(f"MLflow cannot get {uri}: {reason}") from error
