"""A model as the pool sees it: where it is loaded, and how many calls of it make sense at once; knows no socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...runtime import ModelFace
from ...settings import ModelSettings
from .declared import keeps_sequences
from .messages import Cost

if TYPE_CHECKING:
    from .remote import RemoteWorker

AWAITING_CALLS = 64  # of one model in one worker, where it spends its time awaiting something else
_WEIGHT = 0.2  # of the newest call in the moving average
_MOSTLY = 0.5
_MOST_AHEAD = 16  # calls that may wait in one worker: what they save is shared by as many
_AHEAD_NS = 2_000_000  # of work that may wait there...
_QUICK_NS = 5_000_000  # ...or one call that takes no longer: above, what a worker idles between two matters no more


class PoolModel:
    """One loaded model version, known to workers by ``key``: a reload is another key beside the old one.

    A model whose calls hold the worker's thread gets one call per worker at a time. One that spends most of its time
    awaiting something else gets many. Which one it is, is measured.

    So is how long its calls take: of quick ones some more may wait in each worker, for frames to travel together and
    for the worker to find the next call at once. They are bound to that worker while another may fall idle, so they
    are never more than a moment's work.
    """

    def __init__(self, key: int, settings: ModelSettings, changed: Callable[[], None]) -> None:
        self.key = key
        self.name = settings.name
        self.stateful = settings.stateful
        self.keeps_sequences = keeps_sequences(settings.configuration)
        self.changed = changed
        self.plain: dict[str, Any] = settings.model_dump(mode="json")
        self.source = settings.source
        self.workers: list[RemoteWorker] = []  # that can execute it now
        self.reason = ""  # why there are none
        self._face: ModelFace | None = None
        self._awaiting = 0.0  # share of its time
        self._concurrency = 1
        self._busy = 0.0  # mean ns for which a call holds the thread
        self._ahead = 0  # calls that may wait in each worker
        self._abandoned = 0

    def loaded(self, face: ModelFace) -> None:
        """It was loaded, by a worker or by another one once more."""
        self._face = face
        if face.fast or face.lists:
            self._concurrency = max(1, face.instances)

    @property
    def slots(self) -> int:
        """Calls that make sense at once; those that nobody waits for, but that still run, take theirs away."""
        return max(0, len(self.workers) * self._concurrency - self._abandoned)

    @property
    def ahead(self) -> int:
        """Calls that may wait in workers beside those."""
        return max(0, len(self.workers) * (self._concurrency + self._ahead) - self._abandoned) - self.slots

    def observe(self, cost: Cost) -> None:
        """Learn from one execution."""
        face, total = self._face, cost.busy + cost.waiting
        if face is None or not total or face.lists:  # such a model has threads of its own, as many as it says
            return
        concurrency = self._concurrency
        if not face.fast:
            self._awaiting += _WEIGHT * (cost.waiting / total - self._awaiting)
            concurrency = AWAITING_CALLS if self._awaiting > _MOSTLY else 1
        self._busy += (_WEIGHT if self._busy else 1.0) * (cost.busy - self._busy)
        ahead = self._worth_ahead() if concurrency == 1 else 0
        if (concurrency, ahead) != (self._concurrency, self._ahead):
            self._concurrency, self._ahead = concurrency, ahead
            self.changed()

    def _worth_ahead(self) -> int:
        if self._busy > _QUICK_NS:
            return 0
        calls = max(1, min(_MOST_AHEAD, int(_AHEAD_NS / max(self._busy, 1.0))))
        return 1 << calls.bit_length() - 1  # rounded down: not every measurement is to change it

    def abandon(self, calls: int) -> None:
        """So many more calls (or fewer) run for nobody."""
        self._abandoned += calls
        self.changed()
