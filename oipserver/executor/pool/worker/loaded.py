"""A model in a worker; runs nothing."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ....runtime import ModelFace, ModelHost
from ....settings import ModelSettings

_FORGETTING = 0.9  # of the longest recent execution, by each that was shorter


@dataclass(slots=True)
class LoadedModel:
    """A model and the calls of it that are under way."""

    host: ModelHost
    face: ModelFace
    settings: ModelSettings
    threads: ThreadPoolExecutor | None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    longest: float = 1e9  # ns of an execution lately; unknown is long

    def took(self, nanoseconds: int) -> None:
        """Learn from one execution."""
        self.longest = max(nanoseconds, self.longest * _FORGETTING)
