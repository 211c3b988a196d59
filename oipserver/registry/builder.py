"""Chooses executor and scheduler for a model's settings; the only place that knows all of them."""

from __future__ import annotations

from ..executor import Executor, InProcessExecutor
from ..executor.pool import PoolManager
from ..runtime import placement_of
from ..scheduler import scheduler_for
from ..settings import ModelSettings, Settings
from ..telemetry.statistics import ModelStatistics
from .servable import Servable


class ServableBuilder:
    """Builds servables as the server's settings say."""

    def __init__(self, settings: Settings, pools: PoolManager) -> None:
        self._settings = settings
        self._pools = pools

    def build(self, settings: ModelSettings) -> Servable:
        """A servable for ``settings``, not loaded yet. Raises OIPError."""
        executor = self._executor(settings)
        statistics = ModelStatistics()
        scheduler = scheduler_for(self._settings, settings, executor, statistics)
        executor.changed = scheduler.slots_changed
        return Servable(settings, executor, scheduler, statistics)

    def _executor(self, settings: ModelSettings) -> Executor:
        workers = settings.parallel_workers
        if workers is None:
            in_process = self._settings.parallel_workers == 0 or placement_of(settings) == "in-process"
        else:
            in_process = workers == 0
        own_environment = settings.parameters.environment_path or settings.parameters.environment_tarball
        if in_process and not own_environment:
            return InProcessExecutor(settings)
        return self._pools.executor(settings)
