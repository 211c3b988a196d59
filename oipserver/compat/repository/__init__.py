"""``mlserver.repository``: the interface of custom model repositories, and one over folders to build upon."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from ...errors import ModelNotFound
from ...repository import FileModelRepository
from ...settings import ModelSettings
from ...settings.model_file import MODEL_SETTINGS_FILE

DEFAULT_MODEL_SETTINGS_FILENAME = MODEL_SETTINGS_FILE

__all__ = ["DEFAULT_MODEL_SETTINGS_FILENAME", "ModelRepository", "SchemalessModelRepository"]


_Models = list[ModelSettings]  # a method below takes the name ``list``


class ModelRepository(ABC):
    """A place models are found in; ``model_repository_implementation`` names a subclass, made with ``root``."""

    @abstractmethod
    async def list(self) -> _Models:
        """The settings of every model version."""

    @abstractmethod
    async def find(self, name: str) -> _Models:
        """The settings of every version of one model. Raises ModelNotFound."""


class SchemalessModelRepository(ModelRepository):
    """The models in the folders below ``root``."""

    def __init__(self, root: str) -> None:
        self._root = root

    def _files(self) -> FileModelRepository:
        return FileModelRepository(Path(self._root))  # each time, for the environment as it is then

    async def list(self) -> _Models:
        """The settings of every model version; models that cannot be read are left out.

        Raises InvalidArgumentError where there is no such folder.
        """
        return (await self._files().scan()).models

    async def find(self, name: str) -> _Models:
        """The settings of every version of one model. Raises ModelNotFound, InvalidArgumentError where it is broken."""
        found = await self._files().find(name)
        if not found:
            raise ModelNotFound(name)
        return found
