"""The control plane: the repository index, loading and unloading by request, following a repository that changes."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from ...errors import InternalError, InvalidArgumentError, NotFoundError, OIPError, UnavailableError
from ...protocol import ModelState, RepositoryIndexItem
from ...registry import ModelRegistry
from ...registry.registry import UNLOADED
from ...repository import FileModelRepository, ModelRepository, Overlays, Overrides, Scan
from ...settings.server import ModelControlMode
from .loader import CannotPollError, Loader, LoadFailedError, UnknownModelError, fingerprint_of

_log = logging.getLogger(__name__)


class ControlPlane:
    """What a client may ask of the repository, and what the server itself does with it. Raises OIPError only.

    In mode ``auto`` clients are answered as MLServer answers them: each load is a reload, what is not there is not
    found, what makes no model is the client's mistake and a failed load the server's. In mode ``explicit`` as Triton
    does: what has not changed stays loaded, unloading is always done, whatever cannot be polled is INTERNAL, a failed
    load INVALID_ARGUMENT.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        repository: ModelRepository,
        mode: ModelControlMode,
        overlays: Overlays | None = None,
        *,
        concurrency: int = 4,
    ) -> None:
        """``concurrency`` models load at a time where the server loads by itself. What a client or a model asks for
        does not wait for them: a model that asks while it loads would hold the place that it waits for."""
        self._registry = registry
        self._repository = repository
        self._mode = mode
        self._loader = Loader(registry, repository, overlays or Overlays(FileModelRepository, 0))
        self._places = asyncio.Semaphore(concurrency)
        self._broken: dict[str, str] = {}
        self._followed: dict[str, str] = {}
        self._changed: dict[str, str] = {}
        self._unseen = ""

    async def index(self, *, ready: bool = False) -> list[RepositoryIndexItem]:
        """Every model in the repository or loaded; only versions that are READY where ``ready``.

        One that never was loaded is told by its name alone, in state UNKNOWN.
        """
        try:
            scan = await self._repository.scan()
        except InvalidArgumentError as error:  # not the client's: the folder is gone, or not ours to read
            raise UnavailableError(error.message) from error
        found = {*scan.names(), *scan.broken}
        rows = [
            row for row in self._registry.index() if row.name in found or (row.state, row.reason) != _GONE
        ]  # what was unloaded and is not in the repository either is no model any more
        told = {row.name for row in rows}
        guessed = Counter(scan.broken.values())  # what cannot be read may go by several names: then none is told
        broken = [name for name, reason in scan.broken.items() if guessed[reason] == 1]
        rows += [RepositoryIndexItem(name) for name in dict.fromkeys([*scan.names(), *broken]) if name not in told]
        rows = [self._explained(row) for row in rows]
        rows.sort(key=lambda row: (row.name, row.version))
        return [row for row in rows if not ready or row.state is ModelState.READY]

    async def load(self, name: str, overrides: Overrides | None = None) -> None:
        """Load ``name`` from the repository with ``overrides``, or reload it, all versions. Raises OIPError."""
        self._require_control()
        if self._mode == "auto":
            await self._loader.load(name, overrides, again=True)
        else:
            await self._load_as_triton(name, overrides)
        self._mended(name)

    async def _load_as_triton(self, name: str, overrides: Overrides | None) -> None:
        try:
            await self._loader.load(name, overrides)
        except (CannotPollError, UnknownModelError) as error:
            raise InternalError(error.message) from error
        except LoadFailedError as error:
            raise InvalidArgumentError(error.message) from error

    async def unload(self, name: str, *, dependents: bool = False) -> None:
        """Unload every version of ``name``; waits for its requests. Raises OIPError.

        With ``dependents`` also the members of an ensemble that were loaded for it alone.
        """
        self._require_control()
        self._mended(name)
        try:
            await self._loader.unload(name, with_members=dependents)
        except NotFoundError:
            if self._mode == "auto":
                raise

    def _require_control(self) -> None:
        if self._mode in ("none", "poll"):
            raise UnavailableError(
                "explicit model load / unload is not allowed if polling is enabled "
                f"(the server was started with --model-control-mode {self._mode})"
            )

    # -- what the server does by itself ------------------------------------------------------------------------------

    async def start(self, scan: Scan) -> list[str]:
        """Load everything in ``scan``, which holds what is to be served; why models could not be, one line each."""
        self._broken = dict(scan.broken)
        if self._mode == "poll":
            self._followed = await self._differences(scan)
        return await self._load_all(scan, scan.names())

    async def close(self) -> None:
        """Unload everything, and delete what was uploaded."""
        await self._loader.close()

    def problems(self) -> list[str]:
        """Why the server is not ready as far as models go; empty where all is well.

        A model that serves although its files cannot be used any more is none.
        """
        serving = {reason for name, reason in self._broken.items() if self._registry.versions(name)}
        broken = [reason for reason in dict.fromkeys(self._broken.values()) if reason not in serving]
        return [*self._registry.problems(), *broken]

    async def changes(self) -> bool:
        """Whether the repository is not as it was when it was last followed."""
        scan = await self._scan()
        if scan is None:
            return False
        self._changed = await self._differences(scan)
        return bool(self._changed)

    async def follow(self) -> None:
        """Load, reload and unload what changed, and looks now as it did when ``changes`` was asked.

        A model whose change cannot be used goes on serving as it is; logs, index and readiness say why.
        """
        scan = await self._scan()
        if scan is None:
            return
        differences = await self._differences(scan)
        settled = {name: mark for name, mark in differences.items() if self._changed.get(name) == mark}
        for name in settled:
            self._broken.pop(name, None)
        for reason in dict.fromkeys(scan.broken[name] for name in settled if name in scan.broken):
            _log.error("%s", reason)
        self._broken |= {name: scan.broken[name] for name in settled if name in scan.broken}
        self._followed |= {name: mark for name, mark in settled.items() if mark}
        await self._load_all(scan, [name for name in settled if settled[name] and name not in scan.broken])
        await asyncio.gather(*(self._remove(name) for name, mark in settled.items() if not mark))

    async def _scan(self) -> Scan | None:
        """What is in the repository; None where that cannot be known now, which is logged once."""
        try:
            scan = await self._repository.scan()
        except OIPError as error:
            if error.message != self._unseen:
                _log.error("models stay as they are: %s", error.message)
            self._unseen = error.message
            return None
        self._unseen = ""
        return scan

    async def _differences(self, scan: Scan) -> dict[str, str]:
        """The new fingerprint of each model that is not as it was followed, "" of one that is there no more."""
        names = [*scan.names(), *(name for name in scan.broken if name not in scan.names())]
        marks = {name: await fingerprint_of(scan, name) for name in names}
        changed = {name: mark for name, mark in marks.items() if self._followed.get(name) != mark}
        return changed | {name: "" for name in self._followed if name not in marks}

    async def _load_all(self, scan: Scan, names: list[str]) -> list[str]:
        async def load(name: str) -> None:
            async with self._places:
                await self._loader.load(name, scan=scan)

        results = await asyncio.gather(*map(load, names), return_exceptions=True)
        failures: list[str] = []
        noted = {row.name for row in self._registry.index()}
        for name, result in zip(names, results, strict=True):
            if isinstance(result, OIPError):
                failures.append(result.message)
                if name not in noted:  # it did not come so far that the registry knows of it
                    self._broken[name] = result.message
            elif isinstance(result, BaseException):
                raise result
        self._registry.readiness.changed()
        return failures

    async def _remove(self, name: str) -> None:
        del self._followed[name]
        try:
            await self._loader.unload(name)
        except NotFoundError:  # it never loaded
            return
        self._registry.forget(name)
        _log.info("model '%s' is gone from the repository and was unloaded", name)

    def _mended(self, name: str) -> None:
        """Forget why ``name`` could not be loaded when the server started."""
        reason = self._broken.get(name)
        self._broken = {other: why for other, why in self._broken.items() if why != reason}
        self._registry.readiness.changed()

    def _explained(self, row: RepositoryIndexItem) -> RepositoryIndexItem:
        """The row of a model that cannot be loaded as it is now says so, also where an older one still serves."""
        reason = self._broken.get(row.name)
        if not reason or row.state not in (ModelState.READY, ModelState.UNKNOWN):
            return row
        state = row.state if row.state is ModelState.READY else ModelState.UNAVAILABLE
        return RepositoryIndexItem(row.name, row.version, state, reason)


_GONE = (ModelState.UNAVAILABLE, UNLOADED)
