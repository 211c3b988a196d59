"""The model repository: the settings of every model version found, and what was wrong with those that were not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from ..settings import ModelSettings


@dataclass(slots=True)
class Scan:
    """One look at a repository: ``models`` found, and one line for each ``problem`` met on the way."""

    models: list[ModelSettings] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class ModelRepository(ABC):
    """A place models are found in."""

    @abstractmethod
    async def scan(self) -> Scan:
        """Look at everything. Never raises for a broken model: that is a problem of the scan."""

    @abstractmethod
    async def find(self, name: str) -> list[ModelSettings]:
        """Every version of one model; empty where there is none. Raises InvalidArgumentError where it is broken."""
