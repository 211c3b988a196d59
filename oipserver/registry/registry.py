"""The model registry: which versions are loaded, which one a request means, and how they replace each other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol
from weakref import WeakValueDictionary

from ..errors import ModelLoadError, NotFoundError, OIPError, UnavailableError
from ..protocol import ModelState, RepositoryIndexItem
from ..settings import ModelSettings
from .readiness import Readiness
from .servable import Servable

_log = logging.getLogger(__name__)

#: What the index says of a model that was unloaded because somebody asked for it.
UNLOADED = "unloaded"


class Builder(Protocol):
    """Makes servables that are not loaded yet."""

    def build(self, settings: ModelSettings) -> Servable:
        """A servable for ``settings``. Raises OIPError."""
        ...


class VersionsFailedError(ModelLoadError):
    """Versions of one model could not be loaded; ``failures`` has the error of each."""

    def __init__(self, failures: dict[str, OIPError]) -> None:
        super().__init__("; ".join(error.message for error in failures.values()))
        self.failures = failures


def version_key(version: str) -> tuple[int, int, str]:
    """Sorts versions: text by text below numbers by value, no version at all above every other."""
    if not version:
        return (2, 0, "")
    return (1, int(version), "") if version.isascii() and version.isdigit() else (0, 0, version)


class ModelRegistry:
    """Loaded models by name and version. Loads, reloads and unloads of one name happen one after the other; a load that
    fails is tried again ``retries`` times."""

    def __init__(self, builder: Builder, *, retries: int = 0) -> None:
        self._builder = builder
        self._attempts = 1 + retries
        self._models: dict[str, dict[str, Servable]] = {}
        self._default: dict[str, Servable] = {}
        self._loading: dict[tuple[str, str], Servable] = {}
        self._leaving: dict[tuple[str, str], Servable] = {}
        self._failed: dict[tuple[str, str], str] = {}
        self._unloaded: dict[str, list[str]] = {}
        self._retiring: set[asyncio.Future[None]] = set()
        #: Told whenever ``problems`` may have changed.
        self.readiness = Readiness()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
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
        """Make ``wanted`` the versions of ``name``: the new ones load first, all take over at once, the old ones leave.

        Raises VersionsFailedError where any could not be loaded: all that served before then goes on serving, and
        nothing new does.
        """
        async with self._lock(name):
            fresh, failures = await self._bring_up(wanted)
            if failures:
                self._note(name, fresh, failures)
                await self._retire(fresh)
                raise VersionsFailedError(failures)
            old = self._models.get(name, {})
            self._clear(name)
            self._models[name] = {servable.version: servable for servable in fresh}
            self._choose_default(name)
            await self._retire(old.values())

    async def unload(self, name: str) -> None:
        """Unload every version of ``name``. Raises NotFoundError where there is none."""
        async with self._lock(name):
            failed = self._clear(name)
            leaving = self._models.get(name, {})
            if not leaving:
                if failed:
                    return
                raise NotFoundError(f"Request for unknown model: '{name}' is not found")
            self._models[name] = {}
            self._unloaded[name] = list(leaving)
            self._choose_default(name)
            await self._retire(leaving.values())

    async def close(self) -> None:
        """Unload everything."""
        await asyncio.gather(*(self.unload(name) for name in list(self._models)), *self._retiring)

    def forget(self, name: str) -> None:
        """Say no more in the index that ``name`` was unloaded or failed to load."""
        self._clear(name)

    def _retire(self, servables: Iterable[Servable]) -> Awaitable[None]:
        """Unload ``servables``, which serve no more; to the end, even where whoever waits for it is cancelled."""
        retiring = asyncio.ensure_future(self._unload_all(list(servables)))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)
        return asyncio.shield(retiring)

    async def _unload_all(self, servables: Sequence[Servable]) -> None:
        self._leaving |= {(servable.name, servable.version): servable for servable in servables}
        try:
            await asyncio.gather(*(servable.unload() for servable in servables))
        finally:
            for servable in servables:
                self._leaving.pop((servable.name, servable.version), None)

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())  # it lives as long as somebody holds or awaits it

    async def _bring_up(self, wanted: Sequence[ModelSettings]) -> tuple[list[Servable], dict[str, OIPError]]:
        """What loaded, and why others did not."""
        tasks = [asyncio.ensure_future(self._load(settings)) for settings in wanted]
        try:
            results = await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            done = [task.result() for task in tasks if not task.cancelled() and task.exception() is None]
            await self._retire(servable for servable in done if isinstance(servable, Servable))
            raise
        failures = {
            settings.version: result
            for settings, result in zip(wanted, results, strict=True)
            if isinstance(result, OIPError)
        }
        return [result for result in results if isinstance(result, Servable)], failures

    async def _load(self, settings: ModelSettings) -> Servable | OIPError:
        key = (settings.name, settings.version)
        error: OIPError = ModelLoadError(f"model '{settings.name}' was not loaded")
        for _ in range(self._attempts):
            try:
                servable = self._loading[key] = self._builder.build(settings)
                servable.on_change = self.readiness.changed
                await servable.load()
            except OIPError as failure:
                _log.error("%s", failure.message)
                error = failure
            else:
                return servable
            finally:
                self._loading.pop(key, None)
        return error

    def _note(self, name: str, fresh: Sequence[Servable], failures: dict[str, OIPError]) -> None:
        """Keep why versions failed, and why those that loaded beside them do not serve."""
        self._unloaded.pop(name, None)
        reasons = {servable.version: "another version of the model failed to load" for servable in fresh}
        reasons |= {version: error.message for version, error in failures.items()}
        self._failed |= {(name, version): reason for version, reason in reasons.items()}
        self.readiness.changed()

    def _clear(self, name: str) -> bool:
        """Forget what is remembered of ``name``; whether it had failed to load."""
        self._unloaded.pop(name, None)
        failed = [key for key in self._failed if key[0] == name]
        for key in failed:
            del self._failed[key]
        if failed:
            self.readiness.changed()
        return bool(failed)

    def _choose_default(self, name: str) -> None:
        versions = self.versions(name)
        if versions:
            self._default[name] = versions[-1]
        else:
            self._models.pop(name, None)
            self._default.pop(name, None)
        for listener in self.listeners:
            listener()
        self.readiness.changed()

    def problems(self) -> list[str]:
        """Why the server is not ready as far as models go; empty where all is well. A version that serves although
        its reload failed is none."""
        failed = [f"model '{name}'{f' version {version}' if version else ''}: {reason}"
                  for (name, version), reason in self._failed.items()
                  if version not in self._models.get(name, {})]  # fmt: skip
        return failed + [f"model '{servable.name}': {servable.reason}" for servable in self if not servable.ready]

    def index(self) -> list[RepositoryIndexItem]:
        """Every version that is loaded, is loading or leaving, was unloaded or failed to load, with state and reason.

        One that serves although its reload failed is READY, and its reason says why that failed.
        """
        gone = [(name, version, UNLOADED) for name, versions in self._unloaded.items() for version in versions]
        gone += [(name, version, reason) for (name, version), reason in self._failed.items()]
        rows = {
            (name, version): RepositoryIndexItem(name, version, ModelState.UNAVAILABLE, reason)
            for name, version, reason in gone
        }
        for servable in (*self._leaving.values(), *self._loading.values(), *self):  # what serves hides what is to come
            key = (servable.name, servable.version)
            row = RepositoryIndexItem(*key, servable.state, servable.reason)
            serves = row.state is ModelState.READY
            rows[key] = replace(row, reason=row.reason or self._failed.get(key, "")) if serves else row
        return list(rows.values())
