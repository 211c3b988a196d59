"""MLServer's public modules, under the names they have there: what ``import mlserver`` means to models served here.

Only what differs from this server's own modules is here; the others are shared (see ``runtime.mlserver_alias``).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .. import __version__
from ..runtime.mlserver_alias import install, target_of

if TYPE_CHECKING:
    from ..model import MLModel
    from .metrics import log, register
    from .server import MLServer
    from .settings import ModelSettings, Settings

_NAMES = {
    "MLModel": "model",
    "MLServer": "server",
    "ModelSettings": "settings",
    "Settings": "settings",
    "log": "metrics",
    "register": "metrics",
}
_MODULES = frozenset(
    {
        "batching",
        "cache",
        "cloudevents",
        "codecs",
        "context",
        "errors",
        "grpc",
        "handlers",
        "logging",
        "metrics",
        "model",
        "raw",
        "repository",
        "rest",
        "server",
        "settings",
        "types",
        "utils",
        "version",
    }
)

__all__ = ["MLModel", "MLServer", "ModelSettings", "Settings", "__version__", "install", "log", "register"]


def __getattr__(name: str) -> object:
    if name in _NAMES:
        return getattr(import_module(target_of(f"mlserver.{_NAMES[name]}")), name)
    if name in _MODULES:
        return import_module(target_of(f"mlserver.{name}"))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
