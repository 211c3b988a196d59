"""The public face of the server, loaded lazily: importing it costs nothing until a name is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .compat.server import MLServer
    from .errors import OIPError
    from .model import MLModel
    from .settings import ModelSettings, Settings
    from .store.local import local
    from .telemetry.custom import log, register
    from .tensor import Tensor

_EXPORTS = {
    "MLModel": ".model",
    "MLServer": ".compat.server",
    "ModelSettings": ".settings",
    "OIPError": ".errors",
    "Settings": ".settings",
    "Tensor": ".tensor",
    "local": ".store.local",
    "log": ".telemetry.custom",
    "register": ".telemetry.custom",
}

__all__ = [
    "MLModel",
    "MLServer",
    "ModelSettings",
    "OIPError",
    "Settings",
    "Tensor",
    "__version__",
    "local",
    "log",
    "register",
]


def __getattr__(name: str) -> object:
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name], __name__), name)
    if name in {"types", "codecs", "mlflow", "sklearn"}:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "codecs", "mlflow", "sklearn", "types"])
