"""The policy of a model: its own settings over the server's, in nanoseconds and rows."""

from __future__ import annotations

from typing import Any

import pytest

from oipserver.scheduler import BatchPolicy, BatchScheduler, DirectScheduler, scheduler_for
from oipserver.scheduler.policy import policy_of
from oipserver.settings import ModelSettings, Settings
from oipserver.telemetry.statistics import ModelStatistics
from tests.scheduler.virtual import ScriptedExecutor


@pytest.mark.parametrize(
    ("server", "model", "expected"),
    [
        ({}, {}, (1, 0, 1024)),
        ({"max_batch_size": 8, "max_batch_time": 0.5}, {}, (8, 500_000_000, 1024)),
        ({"max_batch_size": 8, "max_batch_time": 0.5}, {"max_batch_size": 4, "max_batch_time": 0}, (4, 0, 1024)),
        ({"max_batch_size": 8}, {"max_batch_size": 0}, (1, 0, 1024)),
        ({"max_queue_size": 7}, {}, (1, 0, 7)),
        ({"max_queue_size": 7}, {"max_queue_size": 3}, (1, 0, 3)),
    ],
)
def test_the_models_value_wins(server: dict[str, Any], model: dict[str, Any], expected: tuple[int, int, int]) -> None:
    policy = policy_of(ModelSettings(name="m", **model), Settings(**server))
    assert (policy.max_batch_size, policy.max_batch_time, policy.max_queue_size) == expected


def test_the_rest_of_the_policy_is_the_models() -> None:
    model = ModelSettings(
        name="m",
        max_batch_size=8,
        preferred_batch_size=[8, 4, 4, 0, 16],
        queue_timeout=0.25,
        priority_levels=3,
        default_priority=2,
        independent_rows=True,
    )
    policy = policy_of(model, Settings())
    assert policy == BatchPolicy(
        max_queue_size=1024,
        queue_timeout=250_000_000,
        priority_levels=3,
        default_priority=2,
        max_batch_size=8,
        preferred_batch_sizes=(4, 8),
        independent_rows=True,
    )
    assert not policy_of(model.model_copy(update={"stateful": True}), Settings()).independent_rows


def test_batches_are_cut_to_preferred_sizes() -> None:
    policy = BatchPolicy(1, max_batch_size=10, preferred_batch_sizes=(4, 8))
    assert [policy.cut(rows) for rows in (1, 3, 4, 7, 8, 20)] == [10, 10, 4, 4, 8, 8]
    assert policy.enough == 4
    assert BatchPolicy(1, max_batch_size=10).enough == 10


@pytest.mark.parametrize(
    ("levels", "default", "parameters", "level"),
    [
        (0, 0, {"priority": 3}, 0),
        (3, 0, {}, 1),
        (3, 3, {}, 2),
        (2, 9, {}, 1),
        (3, 0, {"priority": 3}, 2),
        (3, 0, {"priority": 0}, 1),
        (3, 0, {"priority": 4}, 1),
        (3, 0, {"priority": True}, 1),
        (3, 0, {"priority": "1"}, 1),
    ],
)
def test_levels(levels: int, default: int, parameters: dict[str, Any], level: int) -> None:
    assert BatchPolicy(1, priority_levels=levels, default_priority=default).level(parameters) == level


@pytest.mark.parametrize(("size", "kind"), [(None, DirectScheduler), (1, DirectScheduler), (2, BatchScheduler)])
def test_batching_is_chosen_where_batches_can_have_more_than_one_row(size: int | None, kind: type) -> None:
    settings = ModelSettings(name="m", max_batch_size=size)
    assert type(scheduler_for(Settings(), settings, ScriptedExecutor(), ModelStatistics())) is kind
