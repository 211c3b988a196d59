"""What each loaded model was made from: loads what changed, in order of what needs what; knows no client's rights."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from weakref import WeakValueDictionary

from ...errors import (
    InternalError,
    InvalidArgumentError,
    ModelLoadError,
    NotFoundError,
    OIPError,
    ResourceExhaustedError,
    UnsupportedError,
)
from ...registry import ModelRegistry, VersionsFailedError
from ...repository import ModelRepository, Overlay, Overlays, Overrides, Scan, fingerprint
from ...settings import ModelSettings
from .members import MembersMissingError, members

_log = logging.getLogger(__name__)


class CannotPollError(InvalidArgumentError):
    """The repository, or what a client sent, makes no model of this name."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"failed to load '{name}', failed to poll from model repository: {why}")


class UnknownModelError(NotFoundError):
    """The model is nowhere."""

    def __init__(self, name: str) -> None:
        super().__init__(f"failed to load '{name}', failed to poll from model repository: no such model there")


class LoadFailedError(ModelLoadError):
    """Versions of a model are there but cannot be loaded."""


@dataclass(slots=True)
class Origin:
    """What a loaded model was made from: the repository as it was, and what a client overrode.

    ``config`` is the configuration that a client gave, ``uploaded`` tells that the files are a client's, ``implied``
    that nobody asked for the model but an ensemble that it is a member of.
    """

    fingerprint: str
    models: list[ModelSettings]
    implied: bool
    overlay: Overlay | None = None
    config: str | None = None
    uploaded: bool = False


class Loader:
    """Loads and unloads models of a repository, each name's one after the other.

    An ensemble leaves with a model that it is made of, and comes back with it: it could answer nothing in between.
    """

    def __init__(self, registry: ModelRegistry, repository: ModelRepository, overlays: Overlays) -> None:
        self._registry = registry
        self._repository = repository
        self._overlays = overlays
        self._origins: dict[str, Origin] = {}
        self._fallen: dict[str, Origin] = {}  # ensembles that left with a member
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def load(
        self, name: str, overrides: Overrides | None = None, *, scan: Scan | None = None, again: bool = False
    ) -> None:
        """Load ``name`` as ``scan`` found it, or as it is now, with ``overrides``, and first what it is made of.

        A model that is loaded and has not changed stays as it is, unless ``again``. Raises OIPError: whatever served
        before goes on serving.
        """
        await self._load(name, overrides, scan, again=again, above=())

    async def unload(self, name: str, *, with_members: bool = False) -> None:
        """Unload ``name`` and the ensembles made of it; of its own members, also those that were loaded for it alone
        where ``with_members``.

        Raises NotFoundError where it is not loaded.
        """
        self._fallen.pop(name, None)
        for ensemble in self._made_of(name):
            await self._fall(ensemble, name)
        origin = await self._unload(name)
        for member in members(origin.models) if origin is not None and with_members else ():
            kept = self._origins.get(member)
            if kept is not None and kept.implied and not self._made_of(member):
                await self.unload(member, with_members=True)

    async def _unload(self, name: str) -> Origin | None:
        async with self._lock(name):
            origin = self._origins.pop(name, None)
            await self._registry.unload(name)
            if origin is not None and origin.overlay is not None:
                await self._overlays.remove(origin.overlay)
            return origin

    def _made_of(self, member: str) -> list[str]:
        return [name for name, origin in self._origins.items() if member in members(origin.models)]

    async def _fall(self, ensemble: str, member: str) -> None:
        """Unload ``ensemble``, as its ``member`` is about to leave."""
        origin = self._origins.get(ensemble)
        with suppress(NotFoundError):  # it failed to load, or left meanwhile
            await self.unload(ensemble)
            _log.info("ensemble '%s' is unloaded with model '%s', which it is made of", ensemble, member)
        if origin is not None:
            self._fallen[ensemble] = origin

    async def _bring_back(self, member: str) -> None:
        """Load the ensembles again that left with ``member``, or with others that are there too."""
        for ensemble, origin in list(self._fallen.items()):
            needed = members(origin.models)
            if member not in needed or not all(self._registry.versions(each) for each in needed):
                continue
            try:
                await self._load(ensemble, None, None, again=False, above=())
            except OIPError as error:
                self._fallen[ensemble] = origin
                _log.warning("ensemble '%s' does not come back: %s", ensemble, error.message)
            else:
                if back := self._origins.get(ensemble):
                    back.implied = origin.implied

    async def close(self) -> None:
        """Unload everything, and delete what was uploaded."""
        await self._registry.close()
        await self._overlays.close()

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    async def _load(
        self, name: str, overrides: Overrides | None, scan: Scan | None, *, again: bool, above: tuple[str, ...]
    ) -> None:
        if name in above:
            raise InternalError(f"circular dependency between ensembles: {' -> '.join((*above, name))}")
        self._fallen.pop(name, None)
        try:
            await self._load_alone(name, overrides, scan, again=again, implied=bool(above))
        except MembersMissingError as missing:
            # Not under the lock of ``name``: two ensembles that need each other would wait for each other.
            for member in missing.names:
                await self._load_member(name, member, above)
            await self._load_alone(name, overrides, scan, again=again, implied=bool(above), with_members=True)
        await self._bring_back(name)

    async def _load_member(self, ensemble: str, member: str, above: tuple[str, ...]) -> None:
        try:
            await self._load(member, None, None, again=False, above=(*above, ensemble))
        except OIPError as error:
            raise InvalidArgumentError(
                f"ensemble '{ensemble}' depends on '{member}' which has no loaded version. "
                f"Model '{member}' loading failed with error: {error.message}"
            ) from error

    async def _load_alone(
        self,
        name: str,
        overrides: Overrides | None,
        scan: Scan | None,
        *,
        again: bool,
        implied: bool,
        with_members: bool = False,
    ) -> None:
        async with self._lock(name):
            scan = scan or await self._look(name)
            mark = await fingerprint_of(scan, name)
            before = self._origins.get(name) if self._registry.versions(name) else None
            same = before if before is not None and before.fingerprint == mark else None
            if same is not None and not same.uploaded and same.config and overrides is None:
                overrides = Overrides(same.config)  # what a client gave stays until the files change
            if same is not None and not again and _same(same, overrides) and self._ready(same, name):
                same.implied = same.implied and implied
                return
            origin = await self._origin(name, overrides, scan, mark, implied=implied)
            serving = self._registry.versions(name)
            try:
                needed = [] if with_members else members(origin.models)
                if missing := [member for member in needed if not self._registry.versions(member)]:
                    raise MembersMissingError(missing)
                with _explained(name):
                    await self._registry.load(name, origin.models)
            finally:
                # Also where the wait for the last requests of the old versions was cancelled, the new ones serve.
                if (now := self._registry.versions(name)) and now != serving:
                    left, self._origins[name] = self._origins.get(name), origin
                else:
                    left = origin
                if left is not None and left.overlay is not None:
                    await self._overlays.remove(left.overlay)

    async def _origin(self, name: str, overrides: Overrides | None, scan: Scan, mark: str, *, implied: bool) -> Origin:
        """What to load: as the repository has it, or with ``overrides`` written over it. Raises OIPError."""
        if overrides is None:
            if name in scan.broken:
                raise CannotPollError(name, scan.broken[name])
            if not (models := scan.of(name)):
                raise UnknownModelError(name)
            return Origin(mark, models, implied)
        if overrides.config is None and not overrides.describes:
            raise CannotPollError(name, "files are overridden without 'config' to say what they are")
        if not overrides.replaces and name not in scan.names():
            raise UnknownModelError(name)
        try:
            overlay = await self._overlays.make(name, overrides, scan)
        except (ResourceExhaustedError, UnsupportedError):
            raise
        except OIPError as error:
            if error.message.startswith("Invalid file parameter"):
                raise
            raise CannotPollError(name, error.message) from error
        if not overlay.models:
            await self._overlays.remove(overlay)
            raise CannotPollError(name, "no version is available")
        return Origin(mark, overlay.models, implied, overlay, overrides.config, overrides.replaces)

    async def _look(self, name: str) -> Scan:
        try:
            return await self._repository.look(name)
        except InvalidArgumentError as error:
            raise CannotPollError(name, error.message) from error

    def _ready(self, origin: Origin, name: str) -> bool:
        """Whether all versions of ``name`` are, and everything that they are made of is loaded."""
        ready = all(servable.ready for servable in self._registry.versions(name))
        return ready and all(self._registry.versions(member) for member in members(origin.models))


def _same(before: Origin, overrides: Overrides | None) -> bool:
    """Whether ``overrides`` ask for what ``before`` already is, as far as a client has a say in it."""
    if before.uploaded or (overrides is not None and overrides.replaces):
        return False
    return before.config == (overrides.config if overrides is not None else None)


async def fingerprint_of(scan: Scan, name: str) -> str:
    """The fingerprint of one model of ``scan``; what a broken model has instead is why it is broken."""
    if name in scan.broken:
        return f"broken: {scan.broken[name]}"
    others = frozenset(place for other, places in scan.places.items() if other != name for place in places)
    models = [model for model in scan.models if model.name == name]
    return await asyncio.to_thread(fingerprint, models, scan.places.get(name, ()), others)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Tell a failure of versions as Triton does, whose clients look for its words."""
    try:
        yield
    except VersionsFailedError as failed:
        reasons = [
            (f"version {version} is at UNAVAILABLE state: " if version else "")
            + f"{error.code.value.replace('_', ' ').capitalize()}: {error.message};"
            for version, error in failed.failures.items()
        ]
        raise LoadFailedError(f"load failed for model '{name}': {' '.join(reasons)}") from failed
