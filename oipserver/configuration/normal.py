"""A configuration with what it leaves to the server written out; looks at no model and no folder."""

from __future__ import annotations

from copy import deepcopy

from .backends import is_ensemble
from .forms import Configuration

_MAX_SEQUENCE_IDLE_MICROSECONDS = 1_000_000


def normalized(configuration: Configuration) -> Configuration:
    """A copy of ``configuration`` in which the defaults that clients look for are said.

    Batch sizes follow from ``max_batch_size``: call it once that is known.
    """
    normal = deepcopy(configuration)
    normal.setdefault("version_policy", {"latest": {"num_versions": 1}})
    if not normal["version_policy"]:
        normal["version_policy"] = {"latest": {"num_versions": 1}}
    if "dynamic_batching" in normal:
        _fill_preferred(normal["dynamic_batching"], normal)
    if (sequences := normal.get("sequence_batching")) is not None:
        if not sequences["max_sequence_idle_microseconds"]:
            sequences["max_sequence_idle_microseconds"] = _MAX_SEQUENCE_IDLE_MICROSECONDS
        if "oldest" in sequences:
            _fill_preferred(sequences["oldest"], normal)
        else:
            sequences.setdefault("direct", {"max_queue_delay_microseconds": 0, "minimum_slot_utilization": 0.0})
    if is_ensemble(normal):
        return normal
    optimization = normal.setdefault(
        "optimization", {"priority": "PRIORITY_DEFAULT", "gather_kernel_buffer_threshold": 0, "eager_batching": False}
    )
    optimization.setdefault("input_pinned_memory", {"enable": True})
    optimization.setdefault("output_pinned_memory", {"enable": True})
    for number, group in enumerate(normal["instance_group"]):
        group["name"] = group["name"] or f"{normal['name']}_{number}"
        group["count"] = group["count"] or 1
    return normal


def _fill_preferred(batching: Configuration, configuration: Configuration) -> None:
    if not batching["preferred_batch_size"] and configuration["max_batch_size"] > 0:
        batching["preferred_batch_size"] = [configuration["max_batch_size"]]
