"""A model as the pool sees it: where it is loaded, and how many calls of it make sense at once; knows no socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...runtime import ModelFace
from ...settings import ModelSettings
from .messages import Cost

if TYPE_CHECKING:
    from .remote import RemoteWorker

AWAITING_CALLS = 64  # of one model in one worker, where it spends its time awaiting something else
_WEIGHT = 0.2  # of the newest call in the moving average
_MOSTLY = 0.5


class PoolModel:
    """One loaded model version, known to workers by ``key``: a reload is another key beside the old one.

    A model whose calls hold the worker's thread gets one call per worker at a time, so that none waits behind another
    while a worker is free, and so that batches gather. One that spends most of its time awaiting something else gets
    many. Which one it is, is measured.
    """

    def __init__(self, key: int, settings: ModelSettings, changed: Callable[[], None]) -> None:
        self.key = key
        self.name = settings.name
        self.stateful = settings.stateful
        self.changed = changed
        self.plain: dict[str, Any] = settings.model_dump(mode="json")
        self.source = settings.source
        self.workers: list[RemoteWorker] = []  # that can execute it now
        self.reason = ""  # why there are none
        self._face: ModelFace | None = None
        self._awaiting = 0.0  # share of its time
        self._concurrency = 1
        self._abandoned = 0

    def loaded(self, face: ModelFace) -> None:
        """It was loaded, by a worker or by another one once more."""
        self._face = face
        if face.fast:
            self._concurrency = max(1, face.instances)

    @property
    def slots(self) -> int:
        """Calls that make sense at once; those that nobody waits for, but that still run, take theirs away."""
        return max(0, len(self.workers) * self._concurrency - self._abandoned)

    def observe(self, cost: Cost) -> None:
        """Learn from one execution."""
        total = cost.busy + cost.waiting
        if self._face is None or self._face.fast or not total:
            return
        self._awaiting += _WEIGHT * (cost.waiting / total - self._awaiting)
        concurrency = AWAITING_CALLS if self._awaiting > _MOSTLY else 1
        if concurrency != self._concurrency:
            self._concurrency = concurrency
            self.changed()

    def abandon(self, calls: int) -> None:
        """So many more calls (or fewer) run for nobody."""
        self._abandoned += calls
        self.changed()
