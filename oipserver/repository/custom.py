"""A model repository of the user's own, written to MLServer's interface; knows nothing of where its models are."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterable
from typing import Any, Protocol

from ..errors import InvalidArgumentError, OIPError, UnavailableError
from ..settings import ModelSettings
from .repository import ModelRepository, Scan, unaddressable

_log = logging.getLogger(__name__)


_Models = list[ModelSettings]  # a method below takes the name ``list``


class _Listing(Protocol):
    async def list(self) -> _Models: ...

    async def find(self, name: str) -> _Models: ...


class CustomModelRepository(ModelRepository):
    """What an object with ``list`` and ``find`` says."""

    def __init__(self, listing: _Listing) -> None:
        self._listing = listing

    async def scan(self) -> Scan:
        try:
            return _usable(await self._listing.list())
        except OIPError:
            raise
        except Exception as error:
            raise self._failure("list", error) from error

    async def find(self, name: str) -> list[ModelSettings]:
        try:
            return _usable(await self._listing.find(name)).of(name)
        except OIPError:
            raise
        except Exception as error:
            raise self._failure("find", error) from error

    def _failure(self, method: str, error: Exception) -> OIPError:
        kind = type(self._listing).__name__
        _log.error("model repository %s: %s() failed", kind, method, exc_info=error)
        return UnavailableError(f"model repository {kind}: {method}() failed: {type(error).__name__}: {error}")


def _usable(models: Iterable[ModelSettings]) -> Scan:
    """What was found, but for models that nobody could ask for: those are problems."""
    scan = Scan()
    for model in models:
        if complaint := unaddressable(model):
            scan.problems.append(complaint)
            scan.broken[model.name] = complaint
        else:
            scan.models.append(model)
    return scan


def load_custom(implementation: str, root: str, arguments: dict[str, Any]) -> CustomModelRepository:
    """Make the repository whose class ``implementation`` names, with ``root`` and ``arguments``.

    Raises InvalidArgumentError saying what is wrong with it.
    """
    where = f"model_repository_implementation '{implementation}'"
    module, _, name = implementation.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
        listing = kind(root=root, **arguments)
    except Exception as error:
        raise InvalidArgumentError(f"{where} cannot be used: {type(error).__name__}: {error}") from error
    missing = [method for method in ("list", "find") if not callable(getattr(listing, method, None))]
    if missing:
        raise InvalidArgumentError(f"{where} has no method {' and no '.join(missing)}")
    return CustomModelRepository(listing)
