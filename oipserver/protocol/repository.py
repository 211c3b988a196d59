"""States of a model version and the rows of the repository index."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ModelState(Enum):
    """The life of a model version, as the model repository extension names it."""

    UNKNOWN = "UNKNOWN"
    LOADING = "LOADING"
    READY = "READY"
    UNLOADING = "UNLOADING"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class RepositoryIndexItem:
    """One model version known to the repository or the registry."""

    name: str
    version: str = ""
    state: ModelState = ModelState.UNKNOWN
    reason: str = ""
