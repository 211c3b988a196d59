"""Several repositories as one; knows nothing of how models lie in any of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from ..settings import ModelSettings
from .repository import ModelRepository, Scan


class SeveralRepositories(ModelRepository):
    """What all of ``repositories``, each by the name that people know it by, have together. A model that is in two of
    them is a problem: nobody could tell which one is meant."""

    def __init__(self, repositories: Mapping[str, ModelRepository]) -> None:
        self._repositories = repositories

    async def scan(self) -> Scan:
        scans = await asyncio.gather(*(repository.scan() for repository in self._repositories.values()))
        times = Counter(name for scan in scans for name in scan.names())
        merged = Scan()
        for scan in scans:
            merged.models += [model for model in scan.models if times[model.name] == 1]
            merged.problems += scan.problems
            merged.broken |= scan.broken
            merged.places |= scan.places
        for name in (name for name, number in times.items() if number > 1):
            where = [root for root, scan in zip(self._repositories, scans, strict=True) if name in scan.places]
            problem = f"model '{name}' is in more than one repository: {' and '.join(where)}"
            merged.problems.append(problem)
            merged.broken[name] = problem
        return merged

    async def find(self, name: str) -> list[ModelSettings]:
        return (await self.scan()).of(name)

    async def look(self, name: str) -> Scan:
        return await self.scan()
