"""A model in a worker; runs nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ....runtime import ModelFace, ModelHost
from ....settings import ModelSettings
from ...threads import ModelThreads

_WEIGHT = 0.1  # of the newest execution in the moving average


@dataclass(slots=True)
class LoadedModel:
    """A model and the calls of it that are under way."""

    host: ModelHost
    face: ModelFace
    settings: ModelSettings
    threads: ModelThreads | None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    usual: float = 1e9  # mean ns of an execution lately; unknown is long

    def took(self, nanoseconds: int) -> None:
        """Learn from one execution."""
        self.usual += _WEIGHT * (nanoseconds - self.usual)
