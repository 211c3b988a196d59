"""Chooses the scheduler of a model by its settings."""

from __future__ import annotations

from ..executor import Executor
from ..settings import ModelSettings, Settings
from ..telemetry.statistics import ModelStatistics
from .base import Scheduler
from .batching import BatchScheduler
from .direct import DirectScheduler
from .policy import policy_of


def scheduler_for(
    settings: Settings, model_settings: ModelSettings, executor: Executor, statistics: ModelStatistics
) -> Scheduler:
    """The scheduler of one model version: a BatchScheduler where max_batch_size is above 1.

    What the model's settings leave open, the server's decide. The caller calls ``loaded`` and connects
    ``executor.changed`` with the scheduler's ``slots_changed``.
    """
    policy = policy_of(model_settings, settings)
    kind = BatchScheduler if policy.max_batch_size > 1 else DirectScheduler
    return kind(model_settings.name, executor, statistics, policy)
