"""The model registry: which versions are loaded, which one a request means, and how they replace each other."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from ..errors import NotFoundError, OIPError, UnavailableError
from ..protocol import ModelState, RepositoryIndexItem
from ..settings import ModelSettings
from .servable import Servable

_log = logging.getLogger(__name__)


class Builder(Protocol):
    """Makes servables that are not loaded yet."""

    def build(self, settings: ModelSettings) -> Servable:
        """A servable for ``settings``. Raises OIPError."""
        ...


def version_key(version: str) -> tuple[int, int, str]:
    """Sorts versions: text by text below numbers by value, no version at all above every other."""
    if not version:
        return (2, 0, "")
    return (1, int(version), "") if version.isascii() and version.isdigit() else (0, 0, version)


class ModelRegistry:
    """Loaded models by name and version. Loads, reloads and unloads of one name happen one after the other."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._models: dict[str, dict[str, Servable]] = {}
        self._default: dict[str, Servable] = {}
        self._loading: dict[tuple[str, str], Servable] = {}
        self._failed: dict[tuple[str, str], str] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        #: Each is called, on the loop, after every change of what is loaded.
        self.listeners: list[Callable[[], None]] = []

    def __iter__(self) -> Iterator[Servable]:
        """Every servable, in order of name and version."""
        for name in sorted(self._models):
            yield from self.versions(name)

    def versions(self, name: str) -> list[Servable]:
        """The loaded versions of a model, oldest first; empty where there is none."""
        found = self._models.get(name, {})
        return [found[version] for version in sorted(found, key=version_key)]

    def find(self, name: str, version: str = "") -> Servable:
        """The servable that ``name`` and ``version`` mean; no version means the default one.

        Raises NotFoundError; or UnavailableError for one that is still loading or failed to.
        """
        servable = self._default.get(name) if not version else self._models.get(name, {}).get(version)
        if servable is None:
            raise self._missing(name, version)
        return servable

    def acquire(self, name: str, version: str = "") -> Servable:
        """Find a servable and take a lease on it. Raises NotFoundError or UnavailableError."""
        servable = self.find(name, version)
        servable.acquire()
        return servable

    def _missing(self, name: str, version: str) -> OIPError:
        # Copies, made in one step: requests ask from threads of their own while the loop changes these.
        if any(loading_name == name and version in ("", loading) for loading_name, loading in list(self._loading)):
            return UnavailableError(f"model '{name}' is not ready: it is LOADING", retry_after=1.0)
        for (failed_name, failed), reason in list(self._failed.items()):
            if failed_name == name and version in ("", failed):
                return UnavailableError(f"Request for unknown model: '{name}' has no available versions: {reason}")
        if name not in self._models:
            return NotFoundError(f"Request for unknown model: '{name}' is not found")
        return NotFoundError(f"Request for unknown model: '{name}' version {version} is not found")

    async def load(self, name: str, wanted: Sequence[ModelSettings]) -> None:
        """Make ``wanted`` the versions of ``name``: new ones load first, then take over, then the old ones leave.

        Raises the first OIPError of a version that failed; all that served before then goes on serving.
        """
        async with self._locks[name]:
            errors = [error for settings in wanted if (error := await self._replace(settings))]
            if errors:
                raise errors[0]
            keep = {settings.version for settings in wanted}
            await self._drop(name, [version for version in self._models.get(name, {}) if version not in keep])

    async def unload(self, name: str) -> None:
        """Unload every version of ``name``. Raises NotFoundError where there is none."""
        async with self._locks[name]:
            failed = [key for key in self._failed if key[0] == name]
            for key in failed:
                del self._failed[key]
            if name not in self._models:
                if failed:
                    return
                raise NotFoundError(f"Request for unknown model: '{name}' is not found")
            await self._drop(name, list(self._models[name]))

    async def close(self) -> None:
        """Unload everything."""
        await asyncio.gather(*(self.unload(name) for name in list(self._models)))

    async def _replace(self, settings: ModelSettings) -> OIPError | None:
        key = (settings.name, settings.version)
        try:
            servable = self._loading[key] = self._builder.build(settings)
            await servable.load()
        except OIPError as error:
            _log.error("%s", error.message)
            if settings.version not in self._models.get(settings.name, {}):
                self._failed[key] = error.message
            return error
        finally:
            self._loading.pop(key, None)
        self._failed.pop(key, None)
        old = self._models.setdefault(settings.name, {}).get(settings.version)
        self._models[settings.name][settings.version] = servable
        self._choose_default(settings.name)
        if old is not None:
            await old.unload()
        return None

    async def _drop(self, name: str, versions: Iterable[str]) -> None:
        leaving = [self._models[name].pop(version) for version in versions]
        self._choose_default(name)
        for servable in leaving:
            await servable.unload()

    def _choose_default(self, name: str) -> None:
        versions = self.versions(name)
        if versions:
            self._default[name] = versions[-1]
        else:
            self._models.pop(name, None)
            self._default.pop(name, None)
        for listener in self.listeners:
            listener()

    def problems(self) -> list[str]:
        """Why the server is not ready as far as models go; empty where all is well."""
        failed = [f"model '{name}'{f' version {version}' if version else ''}: {reason}"
                  for (name, version), reason in self._failed.items()]  # fmt: skip
        return failed + [f"model '{servable.name}': {servable.reason}" for servable in self if not servable.ready]

    def index(self) -> list[RepositoryIndexItem]:
        """Every version that is loaded, is loading or failed to load, with its state and reason."""
        rows = {key: RepositoryIndexItem(*key, ModelState.UNAVAILABLE, reason) for key, reason in self._failed.items()}
        for servable in (*self._loading.values(), *self):  # what serves hides what is to replace it
            rows[servable.name, servable.version] = RepositoryIndexItem(
                servable.name, servable.version, servable.state, servable.reason
            )
        return list(rows.values())
