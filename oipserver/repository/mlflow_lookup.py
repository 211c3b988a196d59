"""Which model a URI of MLflow's means now, and its files: MLflow is asked, and imported only then; loads nothing."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InvalidArgumentError, NotFoundError, OIPError, one_line
from .mlmodel import MLMODEL_FILE

_REGISTERED = re.compile(r"models:/([^/]+)(?:/([^/]+)|@([^/@]+))")
_LATEST = "latest"
_SECRET = re.compile(r"//[^/]*@")


@dataclass(frozen=True, slots=True)
class Origin:
    """Which model it is: its ``uri`` as given, the ``resolved`` one that always means the same, and what the registry
    calls it; "" for what it has not."""

    uri: str
    resolved: str
    registered_name: str = ""
    version: str = ""
    alias: str = ""

    def __str__(self) -> str:
        return f"{self.uri}, version {self.version}" if self.version else self.uri


def import_mlflow(why: str) -> Any:
    """MLflow. Raises InvalidArgumentError saying what needs it, where it is not installed."""
    try:
        import mlflow
    except ImportError as error:
        raise InvalidArgumentError(
            f'{why} needs MLflow, which cannot be imported ({error}): pip install "oipserver[mlflow]"'
        ) from None
    return mlflow


def registered_name(uri: str) -> str:
    """The name in the URI of a registered model; "" where it is that of something else."""
    found = _REGISTERED.fullmatch(uri)
    return found[1] if found else ""


def resolve(uri: str) -> Origin:
    """What ``uri`` means now: an alias, a stage and ``latest`` become a version.

    Raises NotFoundError where there is none, and InvalidArgumentError with what MLflow says.
    """
    found = _REGISTERED.fullmatch(uri)
    if found is None:
        return Origin(uri, uri)
    name, word, alias = found.groups("")
    version = word if word.isdecimal() else _version(uri, name, word, alias)
    return Origin(uri, f"models:/{name}/{version}", name, version, alias)


def download(origin: Origin, folder: Path) -> None:
    """Put the files of ``origin`` into ``folder``, which is not there yet: all or none.

    Raises NotFoundError, and InvalidArgumentError where they are no MLflow model or MLflow cannot get them.
    """
    partial = folder.with_name(f".{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        # Into a folder of our own: what MLflow gives otherwise may be the tracking server's own files.
        found = downloaded(origin, partial)
        found.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def downloaded(origin: Origin, target: Path | None) -> Path:
    """The folder of ``origin`` on this machine, below ``target``; None leaves the place to MLflow, which gives the
    files of a local store themselves. Raises as ``download`` does."""
    give = import_mlflow(origin.uri).artifacts.download_artifacts
    found = Path(asking(origin.uri, give, artifact_uri=origin.resolved, dst_path=str(target) if target else None))
    require_model(found, origin.uri)
    return found


def require_model(folder: Path, uri: str) -> None:
    """Raises InvalidArgumentError where ``folder``, which came from ``uri``, holds no MLflow model."""
    if not (folder / MLMODEL_FILE).is_file():
        raise InvalidArgumentError(f"{uri} is no MLflow model: there is no {MLMODEL_FILE} in it")


def asking(uri: str, call: Any, *arguments: Any, **keywords: Any) -> Any:
    """What ``call`` gives. MLflow's errors, and those of the places it asks, become ours: NotFoundError where MLflow
    says so, else InvalidArgumentError, with the error itself as the cause."""
    try:
        return call(*arguments, **keywords)
    except OIPError:
        raise
    except Exception as error:
        kind = NotFoundError if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST" else InvalidArgumentError
        raise kind(f"MLflow cannot get {uri}: {one_line(error)} (tracking server: {_asked()})") from error


def _version(uri: str, name: str, word: str, alias: str) -> str:
    """The number of the version that an alias, ``latest`` or the name of a stage means."""
    client = asking(uri, import_mlflow(uri).MlflowClient)
    if alias:
        return str(asking(uri, client.get_model_version_by_alias, name, alias).version)
    if word.lower() == _LATEST:
        known, missing = asking(uri, client.search_model_versions, f"name='{name}'"), "there is no registered model"
    else:
        known, missing = asking(uri, client.get_latest_versions, name, [word]), f"nothing is in stage '{word}' of"
    if not known:
        raise NotFoundError(f"MLflow cannot get {uri}: {missing} '{name}' (tracking server: {_asked()})")
    return str(max(int(each.version) for each in known))


def _asked() -> str:
    """Where MLflow keeps its registry, without the password that may be in that."""
    import mlflow

    return _SECRET.sub("//", str(mlflow.get_registry_uri() or mlflow.get_tracking_uri()), count=1)
