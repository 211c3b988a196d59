"""One model by the URI that MLflow knows it by, downloaded whenever that means another version; loads nothing."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import InvalidArgumentError
from ..settings import Environment, ModelSettings, process_environment
from .mlflow_layout import mlflow_model
from .repository import ModelRepository, Scan

_log = logging.getLogger(__name__)

_URI = re.compile(r"(?:models|runs|mlflow-artifacts):/.")
_REGISTERED = re.compile(r"models:/([^/@]+)(?:/([^/@]+)|@([^/]+))")
_STAGE = re.compile(r"\D")


def is_mlflow_uri(place: str) -> bool:
    """Whether ``place`` is a URI that only MLflow can resolve, and no path."""
    return _URI.match(place) is not None


class MLflowRepository(ModelRepository):
    """The model that ``uri`` means: ``models:/name@alias``, ``models:/name/3``, ``runs:/id/path`` and the like.

    Each look asks the tracking server (``MLFLOW_TRACKING_URI``) which version an alias, a stage or ``latest`` means,
    and downloads one that was not seen yet, in a thread. What was downloaded stays until the server ends: models that
    still answer may be started anew from it.
    """

    def __init__(self, uri: str, environment: Environment | None = None) -> None:
        self._uri = uri
        self._name = _name_of(uri)
        self._environment = environment or process_environment()
        self._folder = TemporaryDirectory(prefix="oipserver-mlflow-")
        self._lock = asyncio.Lock()

    async def scan(self) -> Scan:
        async with self._lock:
            try:
                settings, folder = await asyncio.to_thread(self._model)
            except InvalidArgumentError as error:
                message = f"{self._uri}: {error.message}"
                return Scan(problems=[message], broken={self._name: message})
        return Scan([settings], places={settings.name: (folder,)})

    async def find(self, name: str) -> list[ModelSettings]:
        return (await self.scan()).of(name)

    async def look(self, name: str) -> Scan:
        return await self.scan()

    def _model(self) -> tuple[ModelSettings, Path]:
        mlflow = _import_mlflow()
        version = _version(mlflow, self._uri)
        folder = Path(self._folder.name, self._name, version or "model")
        if not folder.is_dir():
            _download(mlflow, f"models:/{self._name}/{version}" if version else self._uri, folder)
            _log.info("downloaded %s%s", self._uri, f", version {version}" if version else "")
        return mlflow_model(folder, self._name, self._environment, version), folder


def fetch(uri: str, folder: Path) -> None:
    """Put the model that ``uri`` means now into ``folder``, in a folder of its version. Raises InvalidArgumentError."""
    mlflow = _import_mlflow()
    version = _version(mlflow, uri)
    found = _REGISTERED.fullmatch(uri)
    exact = f"models:/{found[1]}/{version}" if found and version else uri
    _download(mlflow, exact, folder / (version or "1"))
    _log.info("downloaded %s%s", uri, f", version {version}" if version else "")


def _name_of(uri: str) -> str:
    """What the model of ``uri`` is called: as it is registered, else by the last part that says something."""
    if found := _REGISTERED.fullmatch(uri):
        return found[1]
    parts = [part for part in uri.partition(":")[2].split("/") if part]
    return next((part for part in reversed(parts) if part not in ("artifacts", "model")), parts[-1])


def _import_mlflow() -> Any:
    try:
        import mlflow
    except ImportError as error:
        raise InvalidArgumentError(
            f'only MLflow can tell what that is, and it cannot be imported ({error}): pip install "oipserver[mlflow]"'
        ) from None
    return mlflow


def _version(mlflow: Any, uri: str) -> str:
    """The number of the registered version that ``uri`` means now; "" where it means none. Raises
    InvalidArgumentError."""
    found = _REGISTERED.fullmatch(uri)
    if found is None:
        return ""
    name, version, alias = found.groups()
    if version and not _STAGE.search(version):
        return str(version)
    try:
        client = mlflow.MlflowClient()
        if alias:
            return str(client.get_model_version_by_alias(name, alias).version)
        if version.lower() == "latest":
            numbers = [int(each.version) for each in client.search_model_versions(f"name='{name}'")]
            return str(max(numbers)) if numbers else _none(f"there is no registered model '{name}'")
        of_stage = client.get_latest_versions(name, [version])
        return str(of_stage[0].version) if of_stage else _none(f"no version of '{name}' is in stage '{version}'")
    except InvalidArgumentError:
        raise
    except Exception as error:
        raise InvalidArgumentError(_told(mlflow, error)) from error


def _none(message: str) -> str:
    raise InvalidArgumentError(message)


def _download(mlflow: Any, uri: str, folder: Path) -> None:
    """Put the files of ``uri`` into ``folder``, all or none. Raises InvalidArgumentError."""
    partial = folder.with_name(f".{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        # Into a folder of our own: what MLflow gives otherwise may be the tracking server's own files.
        found = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(partial)))
    except Exception as error:
        raise InvalidArgumentError(_told(mlflow, error)) from error
    if not (found / "MLmodel").is_file():
        raise InvalidArgumentError("there is no MLmodel file in it: expected a model that MLflow saved")
    found.rename(folder)
    shutil.rmtree(partial, ignore_errors=True)


def _told(mlflow: Any, error: Exception) -> str:
    """What MLflow says went wrong, and where it looked."""
    reason = " ".join(str(error).split())[:500] or type(error).__name__
    return f"{reason} (tracking server: {mlflow.get_registry_uri() or mlflow.get_tracking_uri()})"
