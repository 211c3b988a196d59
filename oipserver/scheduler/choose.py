"""Chooses the scheduler of a model by its settings."""

from __future__ import annotations

from ..executor import Executor
from ..settings import ModelSettings, Settings
from ..telemetry.statistics import ModelStatistics
from .base import Scheduler
from .batching import BatchScheduler
from .configured import configured
from .direct import DirectScheduler
from .lists import ListScheduler
from .ordered import OrderedScheduler
from .policy import BatchPolicy, policy_of
from .sequences import SequenceScheduler, sequence_rules


def scheduler_for(
    settings: Settings, model_settings: ModelSettings, executor: Executor, statistics: ModelStatistics
) -> Scheduler:
    """The scheduler of one model version: a BatchScheduler where max_batch_size is above 1, behind a SequenceScheduler
    where its configuration has ``sequence_batching``.

    What the model's settings leave open, the server's decide. The caller calls ``loaded`` and connects
    ``executor.changed`` with the scheduler's ``slots_changed``. Raises ModelLoadError for a configuration that cannot
    be.
    """
    name, policy = model_settings.name, policy_of(model_settings, settings)
    if model_settings.configuration is not None:
        policy = configured(policy, model_settings.configuration)
    scheduler = _plain(name, executor, statistics, policy)
    rules = sequence_rules(model_settings)
    return scheduler if rules is None else SequenceScheduler(name, scheduler, executor, rules, policy)


def _plain(name: str, executor: Executor, statistics: ModelStatistics, policy: BatchPolicy) -> Scheduler:
    batching = ListScheduler if executor.lists else BatchScheduler
    kind = batching if policy.max_batch_size > 1 else DirectScheduler
    scheduler = kind(name, executor, statistics, policy)
    return OrderedScheduler(scheduler) if policy.ordered else scheduler
