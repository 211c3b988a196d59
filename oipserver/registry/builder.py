"""Chooses executor and scheduler for a model's settings; the only place that knows all of them."""

from __future__ import annotations

from ..executor import Executor, InProcessExecutor
from ..scheduler import DirectScheduler, Scheduler
from ..settings import ModelSettings, Settings
from ..telemetry.statistics import ModelStatistics
from .servable import Servable


class ServableBuilder:
    """Builds servables as the server's settings say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def build(self, settings: ModelSettings) -> Servable:
        """A servable for ``settings``, not loaded yet. Raises OIPError."""
        executor = self._executor(settings)
        statistics = ModelStatistics()
        scheduler = self._scheduler(settings, executor, statistics)
        executor.changed = scheduler.slots_changed
        return Servable(settings, executor, scheduler, statistics)

    def _executor(self, settings: ModelSettings) -> Executor:
        return InProcessExecutor(settings)

    def _scheduler(self, settings: ModelSettings, executor: Executor, statistics: ModelStatistics) -> Scheduler:
        limit = settings.max_queue_size or self._settings.max_queue_size
        return DirectScheduler(settings.name, executor, statistics, limit)
