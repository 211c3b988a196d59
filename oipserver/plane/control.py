"""The control plane: the repository index, and loading and unloading by request."""

from __future__ import annotations

from ..errors import NotFoundError, UnavailableError
from ..protocol import ModelState, RepositoryIndexItem
from ..registry import ModelRegistry
from ..repository import ModelRepository
from ..settings.server import ModelControlMode


class ControlPlane:
    """What a client may ask of the repository. Raises OIPError and nothing else."""

    def __init__(self, registry: ModelRegistry, repository: ModelRepository, mode: ModelControlMode) -> None:
        self._registry = registry
        self._repository = repository
        self._mode = mode

    async def index(self, *, ready: bool = False) -> list[RepositoryIndexItem]:
        """Every model version in the repository or loaded; only those READY where ``ready``."""
        rows = {(row.name, row.version): row for row in self._registry.index()}
        for settings in (await self._repository.scan()).models:
            key = (settings.name, settings.version)
            rows.setdefault(key, RepositoryIndexItem(*key, ModelState.UNAVAILABLE, "not loaded"))
        return [row for _, row in sorted(rows.items()) if not ready or row.state is ModelState.READY]

    async def load(self, name: str) -> None:
        """Load ``name`` from the repository, or reload it, all versions. Raises OIPError."""
        self._require_control()
        wanted = await self._repository.find(name)
        if not wanted:
            raise NotFoundError(f"failed to load '{name}', failed to poll from model repository: no such model there")
        await self._registry.load(name, wanted)

    async def unload(self, name: str) -> None:
        """Unload every version of ``name``; waits for its requests. Raises OIPError."""
        self._require_control()
        await self._registry.unload(name)

    def _require_control(self) -> None:
        if self._mode == "none":
            raise UnavailableError(
                "explicit model load / unload is not allowed: the server was started with --model-control-mode none"
            )
