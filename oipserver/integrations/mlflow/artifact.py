"""A logged model on this machine: where its URI leads, its files, and what its MLmodel says; knows no server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from mlflow.models import Model
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from ...repository.mlflow_lookup import Origin, asking, downloaded, resolve
from ...repository.mlmodel import MLMODEL_FILE
from ...store.record import COMPILED
from .failures import as_mlflow_of_uri, wrong


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
        paths = (path for path in self.folder.rglob("*") if path.is_file() and COMPILED not in path.parts)
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
    if not uri.strip():
        raise wrong(f"a model's URI is missing: expected models:/name/1, models:/name@alias, runs:/... (got {uri!r})")
    scratch: str | None = None
    try:
        with as_mlflow_of_uri():
            origin = resolve(uri)
            if not asking(uri, _is_local, origin.resolved):
                scratch = mkdtemp(prefix="oipserver-mlflow-")
            folder = downloaded(origin, Path(scratch) if scratch else None)
        yield _read(folder, origin, own=scratch is not None)
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _is_local(uri: str) -> bool:
    """Whether MLflow would hand out its own folder instead of a copy."""
    repository: Any = get_artifact_repository(uri)
    while hasattr(repository, "repo"):
        repository = repository.repo
    return isinstance(repository, LocalArtifactRepository)


def _read(folder: Path, origin: Origin, *, own: bool) -> Artifact:
    try:
        model = Model.load(str(folder / MLMODEL_FILE))
    except Exception as error:
        raise wrong(f"{origin.uri}: its {MLMODEL_FILE} cannot be read: {type(error).__name__}: {error}") from error
    told = {"model_id": model.model_id, "run_id": model.run_id, "mlflow_version": model.mlflow_version}
    facts = {key: str(value) for key, value in told.items() if value}
    flavors = {name: dict(settings or {}) for name, settings in model.flavors.items()}
    hinted = getattr(model.signature, "_is_signature_from_type_hint", False) if model.signature else False
    if hinted:
        facts["type_hints"] = "true"
    return Artifact(folder, origin, flavors, facts, own)
