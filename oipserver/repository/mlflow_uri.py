"""One model by the URI that MLflow knows it by, downloaded whenever that means another version; loads nothing."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import InvalidArgumentError, NotFoundError
from ..settings import Environment, ModelSettings, process_environment
from .mlflow_layout import mlflow_model
from .mlflow_lookup import download, registered_name, resolve
from .repository import ModelRepository, Scan, unaddressable

_log = logging.getLogger(__name__)

_URI = re.compile(r"(?:models|runs|mlflow-artifacts):/.")


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
            except (InvalidArgumentError, NotFoundError) as error:
                return Scan(problems=[error.message], broken={self._name: error.message})
        return Scan([settings], places={settings.name: (folder,)})

    async def find(self, name: str) -> list[ModelSettings]:
        return (await self.scan()).of(name)

    async def look(self, name: str) -> Scan:
        return await self.scan()

    def _model(self) -> tuple[ModelSettings, Path]:
        origin = resolve(self._uri)
        folder = Path(self._folder.name, origin.version or "model")
        if not folder.is_dir():
            download(origin, folder)
            _log.info("downloaded %s", origin)
        try:
            settings = mlflow_model(folder, self._name, self._environment, origin.version)
        except InvalidArgumentError as error:
            raise InvalidArgumentError(f"{self._uri}: {error.message}") from error
        if complaint := unaddressable(settings):
            raise InvalidArgumentError(f"{self._uri}: {complaint}")
        return settings, folder


def fetch(uri: str, folder: Path) -> None:
    """Put the model that ``uri`` means now into ``folder``, in a folder of its version.

    Raises NotFoundError and InvalidArgumentError.
    """
    origin = resolve(uri)
    download(origin, folder / (origin.version or "1"))
    _log.info("downloaded %s", origin)


def _name_of(uri: str) -> str:
    """What the model of ``uri`` is called: as it is registered, else by the last part that says something."""
    if name := registered_name(uri):
        return name
    parts = [part for part in uri.partition(":")[2].split("/") if part]
    return next((part for part in reversed(parts) if part not in ("artifacts", "model")), parts[-1])
