"""The model repository: the settings of every model version found, and what was wrong with those that were not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InvalidArgumentError
from ..protocol.names import wrong_name
from ..settings import ModelSettings


@dataclass(slots=True)
class Scan:
    """One look at a repository: ``models`` found, and one line for each ``problem`` met on the way.

    ``broken`` has the problem of each model that has one, by every name it may have; ``places`` the files and folders
    that each model is made of, by name, where it is made of such.
    """

    models: list[ModelSettings] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    places: dict[str, tuple[Path, ...]] = field(default_factory=dict)

    def names(self) -> list[str]:
        """The models found, each name once, in order."""
        return list(dict.fromkeys(model.name for model in self.models))

    def of(self, name: str) -> list[ModelSettings]:
        """Every version of one model; empty where there is none. Raises InvalidArgumentError where it is broken."""
        if name in self.broken:
            raise InvalidArgumentError(f"failed to load '{name}': {self.broken[name]}")
        return [model for model in self.models if model.name == name]

    def only(self, names: Iterable[str]) -> Scan:
        """What was found of ``names``; those that were not are problems."""
        wanted = dict.fromkeys(names)
        found = {model.name for model in self.models}
        broken = {
            name: self.broken.get(name, f"model '{name}' is to be loaded but not in the repository")
            for name in wanted
            if name in self.broken or name not in found
        }
        models = [model for model in self.models if model.name in wanted and model.name not in broken]
        return Scan(models, list(dict.fromkeys(broken.values())), broken, self.places)


def unaddressable(model: ModelSettings) -> str:
    """Why nobody could ask for ``model``: its name or version cannot be one. "" where they can."""
    return wrong_name(model.name) or (wrong_name(model.version, "version") if model.version else "")


class ModelRepository(ABC):
    """A place models are found in."""

    @abstractmethod
    async def scan(self) -> Scan:
        """Look at everything. Never raises for a broken model: that is a problem of the scan."""

    @abstractmethod
    async def find(self, name: str) -> list[ModelSettings]:
        """Every version of one model; empty where there is none. Raises InvalidArgumentError where it is broken."""

    async def look(self, name: str) -> Scan:
        """Look at one model as it is now; others may be in the answer too. Raises as ``find`` does or tells it."""
        return Scan(await self.find(name))
