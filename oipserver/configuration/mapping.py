"""What a configuration means in the server's own settings; knows no runtime's options and loads nothing."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidArgumentError
from ..settings import ModelSettings
from .backends import BACKENDS, backend_of, fill_backend
from .complete import SCHEDULERS
from .datatypes import protocol_name
from .forms import Configuration, Warn, read_json
from .rules import check_configuration

_SECONDS_PER_MICROSECOND = 1e-6


def model_settings(configuration: Configuration) -> dict[str, Any]:
    """The keys of ModelSettings that ``configuration`` decides before its model is loaded, but for ``parameters``."""
    keys: dict[str, Any] = {
        "name": configuration["name"],
        "implementation": backend_of(configuration).implementation,
        "platform": configuration["platform"] or configuration["backend"],
        "configuration": configuration,
        **_behaviour(configuration),
    }
    if configuration["backend"] == "pytorch":  # its names are its arguments' only by their order
        keys |= {side + "s": [_tensor(tensor, configuration) for tensor in configuration[side]] for side in _SIDES}
    return keys


_SIDES = ("input", "output")


def _tensor(tensor: Configuration, configuration: Configuration) -> dict[str, Any]:
    shape = ([-1] if configuration["max_batch_size"] else []) + tensor["dims"]
    return {"name": tensor["name"], "datatype": protocol_name(tensor["data_type"]), "shape": shape}


def _behaviour(configuration: Configuration) -> dict[str, Any]:
    keys = {"stateful": "sequence_batching" in configuration,
            "cache_enabled": bool(configuration.get("response_cache", {}).get("enable"))}  # fmt: skip
    return {key: True for key, value in keys.items() if value}


def configure(settings: ModelSettings, warn: Warn) -> None:
    """Have the ``configuration`` that a settings file brings along count in ``settings``, in its plain form.

    Raises InvalidArgumentError where it breaks a rule or contradicts the settings.
    """
    configuration = settings.configuration = named(settings, read_json(settings.configuration, warn))
    if configuration["name"] != settings.name:
        raise InvalidArgumentError(f"configuration is that of '{configuration['name']}', not of '{settings.name}'")
    if not settings.implementation:
        fill_backend(configuration, ())
        settings.implementation = backend_of(configuration).implementation
    check_configuration(configuration, complete=False)
    for key, value in _behaviour(configuration).items():
        setattr(settings, key, value)


def named(settings: ModelSettings, configuration: Configuration) -> Configuration:
    """``configuration`` with the name, backend and batching that ``settings`` have and it leaves open."""
    configuration["name"] = configuration["name"] or settings.name
    if not (configuration["platform"] or configuration["backend"]):
        for backend in BACKENDS:
            if backend.implementation and backend.implementation == settings.implementation:
                configuration["platform"], configuration["backend"] = backend.platform, backend.name
    if not configuration["max_batch_size"] and (settings.max_batch_size or 0) > 1:
        configuration["max_batch_size"] = settings.max_batch_size
        if SCHEDULERS.isdisjoint(configuration):
            configuration["dynamic_batching"] = batching_of(settings)
    return configuration


def batching_of(settings: ModelSettings) -> Configuration:
    """The ``dynamic_batching`` that settings come to."""
    return {
        "preferred_batch_size": settings.preferred_batch_size,
        "max_queue_delay_microseconds": round((settings.max_batch_time or 0) / _SECONDS_PER_MICROSECOND),
        "preserve_ordering": False,
        "priority_levels": settings.priority_levels,
        "default_priority_level": min(settings.default_priority or (settings.priority_levels + 1) // 2,
                                      settings.priority_levels),
        "priority_queue_policy": {},
    }  # fmt: skip


def scheduling_settings(configuration: Configuration) -> dict[str, Any]:
    """The keys of ModelSettings about batches and waiting, of a complete configuration.

    Without ``dynamic_batching`` requests are never put together, whatever ``max_batch_size`` says of one of them.
    """
    batching = configuration.get("dynamic_batching")
    if batching is None:
        return {"max_batch_size": 0, "max_batch_time": 0.0}
    most = configuration["max_batch_size"]
    preferred = batching["preferred_batch_size"]
    keys: dict[str, Any] = {
        "max_batch_size": most,
        "max_batch_time": batching["max_queue_delay_microseconds"] * _SECONDS_PER_MICROSECOND,
        "preferred_batch_size": [] if preferred == [most] else preferred,
        "priority_levels": batching["priority_levels"],
        "default_priority": batching["default_priority_level"],
    }
    policy = batching.get("default_queue_policy", {})
    if policy.get("max_queue_size"):
        keys["max_queue_size"] = policy["max_queue_size"]
    if policy.get("default_timeout_microseconds") and policy["timeout_action"] == "REJECT":
        keys["queue_timeout"] = policy["default_timeout_microseconds"] * _SECONDS_PER_MICROSECOND
    return keys
