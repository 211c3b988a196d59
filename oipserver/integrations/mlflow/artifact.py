"""A logged model on this machine: where its URI leads, its files, and what its MLmodel says; knows no server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from .failures import wrong

MLMODEL = "MLmodel"
_MODELS = "models:/"


@dataclass(frozen=True, slots=True)
class Origin:
    """Which model it is: its ``uri`` as given, the ``resolved`` one that always means the same, and what the registry
    calls it; "" for what it has not."""

    uri: str
    resolved: str
    registered_name: str = ""
    version: str = ""
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Artifact:
    """The ``folder`` of a logged model, its ``flavors`` with their settings, and where it comes from.

    ``own``: the folder is a copy of ours, so that its files may be moved; otherwise it is MLflow's store.
    """

    folder: Path
    origin: Origin
    flavors: dict[str, dict[str, Any]]
    facts: dict[str, str]
    own: bool

    def files(self) -> list[str]:
        """Every file, as a path in the folder, in order of names."""
        paths = (path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return sorted(path.relative_to(self.folder).as_posix() for path in paths)

    def path(self, name: str, flavor: str) -> Path:
        """The file or folder that ``flavor`` calls ``name``. Raises MlflowException where it is not there."""
        path = self.folder / name
        if not name or not path.resolve().is_relative_to(self.folder.resolve()):
            raise wrong(f"{self.origin.uri}: its flavor '{flavor}' names {name!r}, which is no file of the model")
        if not path.exists():
            raise wrong(f"{self.origin.uri}: its flavor '{flavor}' names '{name}', which is not among its files")
        return path


@contextmanager
def fetched(uri: str) -> Iterator[Artifact]:
    """The model at ``uri`` on this machine, while inside. Raises MlflowException for one that is not there."""
    origin = resolve(uri)
    scratch: str | None = None
    try:
        if not _is_local(origin.resolved):
            scratch = mkdtemp(prefix="oipserver-mlflow-")
        folder = Path(_downloaded(origin.resolved, scratch))
        yield _read(folder, origin, own=scratch is not None)
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def resolve(uri: str) -> Origin:
    """Where ``uri`` leads now: an alias, a stage and ``latest`` become a version. Raises MlflowException."""
    if not uri.strip():
        raise wrong(f"a model's URI is missing: expected models:/name/1, models:/name@alias, runs:/... (got {uri!r})")
    name, slash, version = uri.removeprefix(_MODELS).strip("/").rpartition("/")
    if not uri.startswith(_MODELS):
        return Origin(uri, uri)
    if slash and version.isdigit():
        return Origin(uri, uri, name, version)
    if "@" in uri:
        name, _, alias = uri.removeprefix(_MODELS).strip("/").rpartition("@")
        number = str(MlflowClient().get_model_version_by_alias(name, alias).version)
        return Origin(uri, f"{_MODELS}{name}/{number}", name, number, alias)
    if slash:
        number = _newest(name, version)
        return Origin(uri, f"{_MODELS}{name}/{number}", name, number)
    return Origin(uri, uri)


def _newest(name: str, word: str) -> str:
    """The version that ``latest`` or a stage means."""
    from mlflow.store.artifact.utils.models import get_model_name_and_version

    return str(get_model_name_and_version(MlflowClient(), f"{_MODELS}{name}/{word}")[1])


def _is_local(uri: str) -> bool:
    """Whether MLflow would hand out its own folder instead of a copy."""
    try:
        repository: Any = get_artifact_repository(uri)
    except MlflowException as error:
        if error.error_code == "INTERNAL_ERROR":  # no such scheme
            raise wrong(f"{uri}: {error.message}") from error
        raise
    while hasattr(repository, "repo"):
        repository = repository.repo
    return isinstance(repository, LocalArtifactRepository)


def _downloaded(uri: str, scratch: str | None) -> str:
    try:
        return str(download_artifacts(artifact_uri=uri, dst_path=scratch))
    except MlflowException:
        raise
    except Exception as error:
        raise wrong(f"{uri} cannot be downloaded: {type(error).__name__}: {error}") from error


def _read(folder: Path, origin: Origin, *, own: bool) -> Artifact:
    if not (folder / MLMODEL).is_file():
        raise wrong(f"{origin.uri} is no logged model: it has no file {MLMODEL}")
    try:
        model = Model.load(str(folder / MLMODEL))
    except Exception as error:
        raise wrong(f"{origin.uri}: its {MLMODEL} cannot be read: {type(error).__name__}: {error}") from error
    told = {"model_id": model.model_id, "run_id": model.run_id, "mlflow_version": model.mlflow_version}
    facts = {key: str(value) for key, value in told.items() if value}
    flavors = {name: dict(settings or {}) for name, settings in model.flavors.items()}
    hinted = getattr(model.signature, "_is_signature_from_type_hint", False) if model.signature else False
    if hinted:
        facts["type_hints"] = "true"
    return Artifact(folder, origin, flavors, facts, own)
