"""Public types of the model repository extension; knows no server.

Source of the shapes: the model repository extension of the Open Inference Protocol, in MLServer's names.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from pydantic import RootModel

from .base import BaseModel


class RepositoryIndexRequest(BaseModel):
    """Asks for the models the repository knows; only the ready ones where ``ready`` is true."""

    ready: bool | None = None


class State(Enum):
    """The life of a model version."""

    UNKNOWN = "UNKNOWN"
    READY = "READY"
    UNAVAILABLE = "UNAVAILABLE"
    LOADING = "LOADING"
    UNLOADING = "UNLOADING"


class RepositoryIndexResponseItem(BaseModel):
    """One model version, its state and the reason for it."""

    name: str
    version: str | None = None
    state: State
    reason: str


class RepositoryIndexResponse(RootModel[list[RepositoryIndexResponseItem]]):
    """The model versions the repository knows."""

    root: list[RepositoryIndexResponseItem]

    def __iter__(self) -> Iterator[RepositoryIndexResponseItem]:  # type: ignore[override]  # items, not fields
        return iter(self.root)

    def __getitem__(self, index: int) -> RepositoryIndexResponseItem:
        return self.root[index]

    def __len__(self) -> int:
        return len(self.root)


class RepositoryLoadErrorResponse(BaseModel):
    """A model could not be loaded."""

    error: str | None = None


class RepositoryUnloadErrorResponse(BaseModel):
    """A model could not be unloaded."""

    error: str | None = None
