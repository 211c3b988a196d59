"""What ``parameters.extra`` may say about an ONNX model, checked; knows no session."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from oipserver import ModelSettings
from oipserver.errors import ModelLoadError

from .configured import configured_options
from .names import Provider

_log = logging.getLogger(__name__)

_KEYS = (
    "providers",
    "provider_options",
    "session_options",
    "session_config_entries",
    "run_options",
    "run_config_entries",
    "device_id",
    "devices",
    "instances",
)


@dataclass(frozen=True, slots=True)
class OnnxOptions:
    """The settings of one ONNX model, all optional; each field is a key of ``parameters.extra``.

    ``providers``: execution providers in order of preference, every one of which must start; None: CUDA where it works,
    else the CPU. ``provider_options``: as many objects as providers (one object for one provider).
    ``session_options`` and ``run_options``: attributes of onnxruntime's classes of these names.
    ``session_config_entries``: its string-valued settings. ``device_id``: the GPU; asks for CUDA where ``providers``
    does not say otherwise. ``devices``: GPUs by number, each of which gets a session of its own. ``instances``:
    executions at once (on each device), which share the cores among them. ``gpu_providers``, of a configuration in
    Triton's form alone: what to use instead of CUDA where that works.
    """

    providers: tuple[str, ...] | None = None
    provider_options: tuple[dict[str, str], ...] = ()
    session_options: Mapping[str, object] = field(default_factory=dict)
    session_config_entries: Mapping[str, str] = field(default_factory=dict)
    run_options: Mapping[str, object] = field(default_factory=dict)
    run_config_entries: Mapping[str, str] = field(default_factory=dict)
    device_id: int | None = None
    devices: tuple[int, ...] = ()
    instances: int = 1
    gpu_providers: tuple[Provider, ...] = ()


def read_options(settings: ModelSettings) -> OnnxOptions:
    """The options in ``settings.parameters.extra``, and in the settings' ``configuration`` what that leaves open;
    unknown keys are logged with the nearest known one.

    Raises ModelLoadError naming the key, what was expected and what came.
    """
    extra = settings.parameters.extra
    for key in extra:
        if key not in _KEYS:
            near = get_close_matches(key, _KEYS, 1)
            hint = f"; did you mean '{near[0]}'?" if near else f"; known are {', '.join(_KEYS)}"
            _log.warning("model '%s': parameters.extra.%s is unknown and ignored%s", settings.name, key, hint)
    configured = configured_options(settings.configuration, settings.name) if settings.configuration else {}
    gpu_providers = tuple(configured.pop("gpu_providers", ()))
    if not {"providers", "device_id", "devices"}.isdisjoint(extra):
        for key in ("providers", "provider_options", "devices"):
            configured.pop(key, None)
    reader = _Reader(settings.name, {**configured, **extra})
    providers = reader.names("providers")
    return OnnxOptions(
        providers=providers,
        provider_options=reader.provider_options(providers),
        session_options=reader.mapping("session_options"),
        session_config_entries=reader.texts("session_config_entries"),
        run_options=reader.mapping("run_options"),
        run_config_entries=reader.texts("run_config_entries"),
        device_id=reader.integer("device_id", 0),
        devices=reader.devices("devices"),
        instances=reader.integer("instances", 1) or 1,
        gpu_providers=gpu_providers,
    )


class _Reader:
    """Takes values out of ``extra`` and refuses those of the wrong type."""

    def __init__(self, model: str, extra: Mapping[str, Any]) -> None:
        self._model = model
        self._extra = extra

    def wrong(self, key: str, expected: str, value: object) -> ModelLoadError:
        return wrong_option(self._model, key, expected, value)

    def names(self, key: str) -> tuple[str, ...] | None:
        value = self._extra.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, 'a list of provider names, such as ["CUDAExecutionProvider"]', value)
        return tuple(value)

    def provider_options(self, providers: tuple[str, ...] | None) -> tuple[dict[str, str], ...]:
        key = "provider_options"
        value = self._extra.get(key)
        if value is None:
            return tuple({} for _ in providers or ())
        if providers is None:
            raise self.wrong(key, "'providers' beside it, to say whose options these are", value)
        groups = [value] if isinstance(value, dict) and len(providers) == 1 else value
        if not isinstance(groups, list) or len(groups) != len(providers):
            one = "an object or " if len(providers) == 1 else ""
            raise self.wrong(key, f"{one}a list of {len(providers)} objects, one per provider", value)
        return tuple(self._texts(f"{key}[{index}]", group) for index, group in enumerate(groups))

    def _texts(self, key: str, value: object) -> dict[str, str]:
        if not isinstance(value, dict):
            raise self.wrong(key, "an object of texts, numbers and booleans", value)
        return {str(name): self.text(f"{key}.{name}", item) for name, item in value.items()}

    def mapping(self, key: str) -> dict[str, Any]:
        value = self._extra.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.wrong(key, "an object", value)
        return value

    def texts(self, key: str) -> dict[str, str]:
        return {name: self.text(f"{key}.{name}", value) for name, value in self.mapping(key).items()}

    def devices(self, key: str) -> tuple[int, ...]:
        value = self._extra.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not value or not all(type(item) is int and item >= 0 for item in value):
            raise self.wrong(key, "a list of numbers of GPUs, such as [0, 1]", value)
        return tuple(value)

    def integer(self, key: str, least: int) -> int | None:
        value = self._extra.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self.wrong(key, f"an integer of {least} or more", value)
        return value

    def text(self, key: str, value: object) -> str:
        """``value`` as onnxruntime's string-valued options write it: booleans are 1 and 0."""
        if isinstance(value, bool):
            return str(int(value))
        if isinstance(value, (str, int, float)):
            return str(value)
        raise self.wrong(key, "a text, number or boolean", value)


def wrong_option(model: str, key: str, expected: str, value: object) -> ModelLoadError:
    """The error of an option of the wrong type."""
    return ModelLoadError(
        f"model '{model}': parameters.extra.{key}: expected {expected}, got {value!r} ({type(value).__name__})"
    )


def apply_options(target: object, values: Mapping[str, object], group: str, model: str) -> None:
    """Set attributes of onnxruntime's ``target`` (its session or run options) to ``values``.

    The type each one has today is the type it takes; members of enumerations are given by name or number.
    Raises ModelLoadError naming the key, what was expected and what came.
    """
    known = [name for name in dir(target) if not name.startswith("_") and not callable(_peek(target, name))]
    for name, value in values.items():
        key = f"{group}.{name}"
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean '{near[0]}'?" if near else f"; known are {', '.join(known)}"
            raise ModelLoadError(f"model '{model}': parameters.extra.{key}: no such option in this onnxruntime{hint}")
        try:
            setattr(target, name, _converted(_peek(target, name), value, key, model))
        except (AttributeError, TypeError, ValueError) as error:
            raise ModelLoadError(f"model '{model}': parameters.extra.{key}: cannot be {value!r}: {error}") from error


def _peek(target: object, name: str) -> object:
    try:
        return getattr(target, name)
    except Exception:  # a property that cannot be read is none that can be set here
        return _peek


def _converted(current: object, value: object, key: str, model: str) -> object:
    members: Mapping[str, object] | None = getattr(type(current), "__members__", None)
    if members is not None:
        for member_name, member in members.items():
            if value == member_name or (type(value) is int and value == int(member)):  # type: ignore[call-overload]
                return member
        raise wrong_option(model, key, f"one of {', '.join(members)}", value)
    kind = type(current)
    if type(value) is not kind:
        names = {bool: "true or false", int: "an integer", str: "a text"}
        raise wrong_option(model, key, names.get(kind, kind.__name__), value)
    return value
