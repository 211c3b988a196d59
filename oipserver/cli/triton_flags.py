"""Triton's command line: what each of its flags means here, as one table; parses no value."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..settings.sources import option_name
from .parser import UsageError, see_help

_YES, _NO = ("true", "1"), ("false", "0")

#: Words in our command line that mean what a flag with this value means.
Words = Callable[[str], list[str]]


def _option(field: str) -> Words:
    return lambda value: [f"{option_name(field)}={value}"]


def _verbose(value: str) -> list[str]:
    return ["--log-level=debug"] if value.isdecimal() and int(value) else []


def _unless(name: str, word: str) -> Words:
    """``word`` where the flag ``name`` is false."""
    return lambda value: [] if _truth(name, value) else [word]


def _trace(value: str) -> list[str]:
    """``triton,file=trace.json``, ``rate=100`` and so on."""
    key, _, setting = value.rpartition(",")[2].partition("=")
    if value.startswith("opentelemetry,") or (key, setting) == ("mode", "opentelemetry"):
        raise UsageError(f"--trace-config {value}: spans go to the collector that --tracing-server names")
    return [f"--trace-{key}={setting}"] if key in ("file", "log-frequency", "rate", "level", "count") else []


def _cache(value: str) -> list[str]:
    """``local,size=1048576``; other keys and caches are not known here."""
    name, _, setting = value.partition(",")
    key, _, size = setting.partition("=")
    if name != "local" or key != "size":
        raise UsageError(f"--cache-config {value}: expected local,size=BYTES")
    return ["--cache-enabled", f"--cache-max-bytes={size}"]


def _backend(value: str) -> list[str]:
    """``onnxruntime,default-max-batch-size=8``, or without the backend; others are settings of Triton's backends."""
    key, _, setting = value.rpartition(",")[2].partition("=")
    return [f"--default-max-batch-size={setting}"] if key == "default-max-batch-size" else []


@dataclass(frozen=True, slots=True)
class Flag:
    """One of Triton's flags: ``words`` for its value, None where it has no effect; without a value it means ``bare``,
    or is a mistake where that is None."""

    words: Words | None
    bare: str | None = None


_ADDRESS = Flag(_option("host"))
_TABLE: dict[str, Flag] = {
    "model-repository": Flag(_option("model_repositories")),
    "model-store": Flag(_option("model_repositories")),
    "load-model": Flag(_option("load_models")),
    "http-address": _ADDRESS,
    "grpc-address": _ADDRESS,
    "metrics-address": _ADDRESS,
    "allow-metrics": Flag(_unless("--allow-metrics", "--metrics-endpoint="), "true"),
    "exit-timeout-secs": Flag(_option("shutdown_timeout")),
    "id": Flag(_option("server_name")),
    "server-id": Flag(_option("server_name")),
    "http-max-input-size": Flag(_option("http_max_body_bytes")),
    "log-verbose": Flag(_verbose),
    "log-info": Flag(_unless("--log-info", "--log-level=warning"), "true"),
    "log-warning": Flag(_unless("--log-warning", "--log-level=error"), "true"),
    "trace-config": Flag(_trace),
    "backend-config": Flag(_backend),
    "cache-config": Flag(_cache),
    "response-cache-byte-size": Flag(lambda value: ["--cache-enabled", f"--cache-max-bytes={value}"]),
    **{
        name: Flag(None, "true")
        for name in (
            "allow-cpu-metrics",
            "allow-gpu-metrics",
            "enable-peer-access",
            "log-error",
            "model-namespacing",
            "reuse-grpc-port",
            "reuse-http-port",
        )
    },
    **{
        name: Flag(None)
        for name in (
            "backend-directory",
            "buffer-manager-thread-count",
            "cache-directory",
            "cuda-memory-pool-byte-size",
            "cuda-virtual-address-size",
            "grpc-infer-allocation-pool-size",
            "grpc-infer-thread-count",
            "host-policy",
            "http-thread-count",
            "metrics-config",
            "metrics-interval-ms",
            "min-supported-compute-capability",
            "model-load-gpu-limit",
            "pinned-memory-pool-byte-size",
            "rate-limit",
            "rate-limit-resource",
            "repoagent-directory",
        )
    },
}

#: For suggestions, beside our own options.
FLAGS = tuple(f"--{name}" for name in _TABLE)


def translate(words: Sequence[str], switches: frozenset[str]) -> tuple[list[str], list[str]]:
    """``words`` of a command line with Triton's flags as our own, and the flags among them that have no effect.

    ``switches`` are our own options that are on or off: Triton gives them a value. Raises UsageError.
    """
    ours: list[str] = []
    without_effect: dict[str, None] = {}
    rest = deque(words)
    while rest:
        word = rest.popleft()
        name, equals, value = word.partition("=")
        flag = _TABLE.get(name.removeprefix("--")) if name.startswith("--") else None
        if name in switches:
            ours += _switched(name, value if equals else _truth_in(rest))
        elif flag is None:
            ours.append(word)
        else:
            value = value if equals else _value(name, flag, rest)
            if flag.words is None:
                without_effect[name] = None
            else:
                ours += flag.words(value)
    return ours, list(without_effect)


def _switched(name: str, value: str | None) -> list[str]:
    return [name if value is None or _truth(name, value) else f"--no-{name.removeprefix('--')}"]


def _value(name: str, flag: Flag, rest: deque[str]) -> str:
    """The value of a flag that stands behind it, or what it means to have none."""
    if flag.bare is not None:
        return _truth_in(rest) or flag.bare
    if not rest or rest[0].startswith("--"):
        raise UsageError(see_help(f"argument {name}: expected one argument", "oipserver start"))
    return rest.popleft()


def _truth_in(rest: deque[str]) -> str | None:
    """The next word where it is true or false, taken out of ``rest``."""
    return rest.popleft() if rest and rest[0].lower() in (*_YES, *_NO) else None


def _truth(name: str, value: str) -> bool:
    if value.lower() not in (*_YES, *_NO):
        raise UsageError(see_help(f"argument {name}: expected true or false, got '{value}'", "oipserver start"))
    return value.lower() in _YES
