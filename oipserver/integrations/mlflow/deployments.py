"""Deployments on one server: made, replaced, removed, listed; knows no command line and no flavor's details."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException

from ...protocol.names import wrong_name
from ...repository.mlmodel import PYFUNC
from ...settings.deployments import DeploymentVariables
from .artifact import Artifact, fetched
from .asking import Asking
from .bundle import NOTES_PARAMETER, Bundle
from .failures import exists, missing, wrong
from .flavors import make_bundle
from .locks import alone
from .options import Options, read_options
from .server import connect
from .shared import SharedRepository
from .target import Target
from .transfer import Transferral

_HERE = frozenset({"READY", "LOADING", "UNLOADING"})
Config = Mapping[str, Any] | None


class Deployments:
    """What MLflow has deployed at ``target``. Everything raises MlflowException."""

    def __init__(self, target: Target, variables: DeploymentVariables) -> None:
        self._target = target
        self._variables = variables
        self._server, self._uploads = connect(target)
        self.asking = Asking(self._server, self._uploads)

    def create(self, name: str, uri: str, flavor: str | None, config: Config) -> dict[str, Any]:
        """Deploy the model at ``uri`` as ``name``, which must be free; nothing stays behind where that fails."""
        options = read_options(config)
        with self._undisturbed(name):
            repository = self._repository(options)
            if self._taken(name, repository, pushed=repository is None):
                raise exists(name)
            if options.transfer == "pull":
                try:
                    return self._pulled(name, uri, flavor, options)
                except BaseException:
                    with suppress(MlflowException):
                        self._server.unload(name, options.timeout)
                    raise
            with fetched(uri) as artifact:
                version = options.version or artifact.origin.version or "1"
                bundle = self._bundle(artifact, name, version, flavor, options, config)
                self._transferral(bundle, artifact, options, repository).create()
            return self._told(bundle)

    def update(self, name: str, uri: str | None, flavor: str | None, config: Config) -> dict[str, Any]:
        """Put the model at ``uri`` in the place of what ``name`` is now, which serves until then and after a failure.

        Without ``uri`` it is the same model with another ``config``.
        """
        with self._undisturbed(name):
            given = read_options(config)
            before = self.notes(name, self._repository(given))
            if not uri:
                uri, flavor = (
                    before.get("resolved_uri") or before.get("mlflow_model_uri"),
                    flavor or before.get("flavor"),
                )
                config = {**_config_in(before), **(config or {})}
            options = read_options(config)
            repository = self._repository(options)
            if not self._taken(name, repository, pushed=True):
                raise missing(name, self._target.url)
            if not uri:
                raise wrong(f"deployment '{name}' does not tell its model's URI: say it with -m")
            if options.transfer == "pull":
                return self._pulled(name, uri, flavor, options)
            with fetched(uri) as artifact:
                version = options.version or artifact.origin.version or self._next_version(name)
                bundle = self._bundle(artifact, name, version, flavor, options, config)
                self._transferral(bundle, artifact, options, repository).update(lambda: self._restore(before, name))
            return self._told(bundle)

    def delete(self, name: str, config: Config) -> None:
        """Unload ``name`` and remove the files that were deployed; it is no mistake that there are none."""
        options = read_options(config)
        with self._undisturbed(name):
            repository = self._repository(options)
            self._server.unload(name, options.timeout)
            if repository is not None and not options.keep_files:
                repository.remove(name, force=options.force)

    def every(self) -> list[dict[str, Any]]:
        """Every model of the server with its state, and where it came from where that is known."""
        repository = self._shared()
        rows: dict[str, list[dict[str, str]]] = {}
        for row in self._server.index():
            rows.setdefault(row["name"], []).append(row)
        return [self._row(name, found, repository) for name, found in rows.items()]

    def get(self, name: str) -> dict[str, Any]:
        """The row of ``name``."""
        rows = [row for row in self._server.index() if row["name"] == name]
        if not rows:
            raise missing(name, self._target.url)
        return self._row(name, rows, self._shared())

    def server_metadata(self) -> dict[str, Any]:
        """What the server tells of itself."""
        return self._server.describe()

    def notes(self, name: str, repository: SharedRepository | None) -> dict[str, str]:
        """Where ``name`` came from, told by the server, else by the repository; {} where nobody knows."""
        parameters = self._server.configuration(name).get("parameters")
        told = parameters.get(NOTES_PARAMETER, {}) if isinstance(parameters, dict) else {}
        try:
            notes = json.loads(told.get("string_value", "{}"))
        except (ValueError, AttributeError):
            notes = {}
        if isinstance(notes, dict) and notes:
            return {str(key): str(value) for key, value in notes.items()}
        return repository.notes(name) if repository is not None else {}

    # -- steps -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _undisturbed(self, name: str) -> Iterator[None]:
        if complaint := wrong_name(name):
            raise wrong(complaint)
        self._server.require()
        with alone(self._target.url, name):
            yield

    def _repository(self, options: Options) -> SharedRepository | None:
        """The folder to place models in; None where they are sent."""
        told = options.repository or self._variables.repository
        if options.transfer in ("push", "pull") or (options.transfer == "auto" and not told):
            return None
        if not told:
            raise wrong(f"-C transfer={options.transfer} needs the shared folder: -C repository=... or $OIP_MODEL_REPO")
        repository = SharedRepository(Path(told))
        repository.require()
        return repository

    def _pulled(self, name: str, uri: str, flavor: str | None, options: Options) -> dict[str, Any]:
        """Have the server fetch the model with its own MLflow, which settles flavor and settings too."""
        if flavor not in (None, "", PYFUNC) or options.model or options.version:
            raise wrong("-C transfer=pull leaves flavor, version and settings to the server: expected none of them")
        self._uploads.pull(name, uri, options.timeout)
        return self._served(name, PYFUNC, ",".join(self._versions(name)), {"mlflow_model_uri": uri})

    def _versions(self, name: str) -> list[str]:
        return [row.get("version", "") for row in self._server.index() if row["name"] == name]

    def _shared(self) -> SharedRepository | None:
        return SharedRepository(Path(self._variables.repository)) if self._variables.repository else None

    def _taken(self, name: str, repository: SharedRepository | None, *, pushed: bool) -> bool:
        if repository is not None and repository.holds(name):
            return True
        rows = [row for row in self._server.index() if row["name"] == name]
        # What lies in the server's own repository is somebody's, loaded or not; what failed to load is nobody's.
        unloaded = pushed and any(not row.get("state") or row.get("reason") == "unloaded" for row in rows)
        return unloaded or any(row.get("state") in _HERE for row in rows)

    def _bundle(
        self, artifact: Artifact, name: str, version: str, flavor: str | None, options: Options, config: Config
    ) -> Bundle:
        bundle = make_bundle(artifact, name, version, flavor, options)
        if config:
            bundle.notes["config"] = json.dumps(dict(config))
        return bundle

    def _transferral(
        self, bundle: Bundle, artifact: Artifact, options: Options, repository: SharedRepository | None
    ) -> Transferral:
        return Transferral(self._server, self._uploads, self.asking, bundle, artifact, options, repository)

    def _restore(self, before: dict[str, str], name: str) -> None:
        """Send once more what ``name`` was ``before``, as far as is known."""
        uri, version = before.get("resolved_uri"), before.get("served_version", "")
        if not uri:
            return
        config = _config_in(before)
        options = read_options({**config, "smoke_test": False})
        with fetched(uri) as artifact:
            number = options.version or version or artifact.origin.version or "1"
            bundle = self._bundle(artifact, name, number, before.get("flavor"), options, config)
            self._transferral(bundle, artifact, options, None).create()

    def _next_version(self, name: str) -> str:
        numbers = [int(row["version"]) for row in self._server.index() if row["name"] == name and _is_number(row)]
        return str(max(numbers, default=0) + 1)

    def _told(self, bundle: Bundle) -> dict[str, Any]:
        return self._served(bundle.name, bundle.flavor, bundle.version, bundle.notes)

    def _served(self, name: str, flavor: str, version: str, notes: Mapping[str, str]) -> dict[str, Any]:
        """What is told of a deployment that was just made."""
        try:
            platform = str(self._server.metadata(name).get("platform", ""))
        except MlflowException as error:  # deployed it is, whatever it says of itself
            platform = f"unknown: {error.message}"
        return {
            "name": name,
            "flavor": flavor,
            "version": version,
            "state": "READY",
            "model_uri": notes.get("mlflow_model_uri", ""),
            "resolved_uri": notes.get("resolved_uri", ""),
            "platform": platform,
            "url": f"{self._target.url}/v2/models/{name}",
        }

    def _row(self, name: str, rows: list[dict[str, str]], repository: SharedRepository | None) -> dict[str, Any]:
        states = [row.get("state", "") for row in rows]
        state = "READY" if "READY" in states else next(filter(None, states), "UNLOADED")
        row: dict[str, Any] = {
            "name": name,
            "state": state,
            "versions": ",".join(row["version"] for row in rows if row.get("version")),
        }
        if reason := next((row["reason"] for row in rows if row.get("reason")), ""):
            row["reason"] = reason
        notes = self.notes(name, repository) if state == "READY" or repository is not None else {}
        return {**row, **{key: value for key, value in notes.items() if key not in row and key != "config"}}


def _config_in(notes: Mapping[str, str]) -> dict[str, Any]:
    """The ``-C`` that a deployment was made with."""
    try:
        told = json.loads(notes.get("config", "{}"))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _is_number(row: Mapping[str, str]) -> bool:
    return row.get("version", "").isdecimal()
