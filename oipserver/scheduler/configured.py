"""The waiting and batching policy that a model's configuration in Triton's form asks for; knows no queue."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .fields import integer, numbers
from .policy import BatchPolicy, LevelRule
from .sequences.rules import batching_of

_NS_PER_US = 1_000
_DELAY = ("DELAY", 1)


def configured(policy: BatchPolicy, configuration: Mapping[str, Any]) -> BatchPolicy:
    """``policy`` with what ``configuration`` says of batches, queues and sequences.

    A configuration that names a max_batch_size and neither ``dynamic_batching`` nor ``sequence_batching`` wants every
    request to run alone.
    """
    told = "max_batch_size" in configuration
    size = max(1, integer(configuration, "max_batch_size")) if told else policy.max_batch_size
    policy = replace(policy, batchless=told and not integer(configuration, "max_batch_size"))
    sequences, dynamic = configuration.get("sequence_batching"), configuration.get("dynamic_batching")
    if sequences is not None:
        return _between_sequences(replace(policy, max_batch_size=size), sequences)
    if dynamic is not None:
        return _dynamic(replace(policy, max_batch_size=size), dynamic)
    return replace(policy, max_batch_size=1, max_batch_time=0) if told else policy


def _between_sequences(policy: BatchPolicy, declared: Mapping[str, Any]) -> BatchPolicy:
    size = policy.max_batch_size
    delay, preferred, share = batching_of(declared)
    if share:
        preferred = tuple(range(math.ceil(share * size), size + 1))
    return replace(
        policy,
        max_batch_time=delay,
        preferred_batch_sizes=_sizes(preferred, size),
        independent_rows=False,
        stateful=True,
        ordered=bool((declared.get("oldest") or {}).get("preserve_ordering")),
    )


def _dynamic(policy: BatchPolicy, declared: Mapping[str, Any]) -> BatchPolicy:
    levels = integer(declared, "priority_levels")
    rules = _rules(declared, max(1, levels))
    bound = policy.max_queue_size
    if all(rule.max_queue_size for rule in rules):
        bound = sum(rule.max_queue_size for rule in rules)
    return replace(
        policy,
        max_queue_size=bound,
        queue_timeout=None,
        priority_levels=levels,
        default_priority=integer(declared, "default_priority_level"),
        rules=rules,
        max_batch_time=integer(declared, "max_queue_delay_microseconds") * _NS_PER_US,
        preferred_batch_sizes=_sizes(
            tuple(int(size) for size in numbers(declared, "preferred_batch_size")), policy.max_batch_size
        ),
        ordered=bool(declared.get("preserve_ordering")),
    )


def _sizes(preferred: tuple[int, ...], most: int) -> tuple[int, ...]:
    return tuple(sorted({size for size in preferred if 0 < size <= most}))


def _rules(declared: Mapping[str, Any], levels: int) -> tuple[LevelRule, ...]:
    default = _rule(declared.get("default_queue_policy") or {})
    own = {int(level): _rule(rule) for level, rule in (declared.get("priority_queue_policy") or {}).items()}
    return tuple(own.get(level, default) for level in range(1, levels + 1))


def _rule(declared: Mapping[str, Any]) -> LevelRule:
    return LevelRule(
        max_queue_size=integer(declared, "max_queue_size"),
        timeout=integer(declared, "default_timeout_microseconds") * _NS_PER_US or None,
        may_shorten=bool(declared.get("allow_timeout_override")),
        delays=declared.get("timeout_action") in _DELAY,
    )
