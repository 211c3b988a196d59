"""Which pool a model belongs to, and how long each pool lives; knows no worker and no call."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ... import __version__
from ...errors import ModelLoadError
from ...peers import Caller
from ...settings import ModelSettings, Settings
from ..base import Executor
from .cores import thread_variables
from .declared import environment_of, instances_of
from .environments import Environments, interpreter_in
from .executor import PoolExecutor
from .memory import default_capacity
from .order import WorkerOrder, search_path
from .pool import Pool
from .seat import Timers


@dataclass(frozen=True, slots=True)
class PoolKey:
    """What makes two models share a pool. The default pool is the one that says nothing."""

    group: str = ""  # a gid, or what sets a model apart from all others
    environment: str = ""  # the interpreter's path; "" for this process' own
    size: int = 0  # where the model asks for another number of workers than the server's


class PoolManager:
    """Makes executors, and the pools they need: one that all models share, and one of its own for each model, group of
    models or environment that asks for it.

    A pool starts with its first model. A pool of its own stops with its last one; the default pool stays until
    ``close``, since its workers are what everybody shares.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        timers: Timers | None = None,
        memory: int | None = None,
        environment: Mapping[str, str] | None = None,
        caller: Caller | None = None,
    ) -> None:
        """``memory``: most bytes of shared memory per worker and direction; ``environment``: variables of the workers,
        this process' own by default; ``caller`` passes on what models ask of other models."""
        self._caller = caller
        self._settings = settings
        self._timers = timers or Timers()
        self._memory = memory or default_capacity()
        self._variables = dict(os.environ if environment is None else environment)
        self._environments = Environments(Path(settings.environments_dir))
        self._pools: dict[PoolKey, Pool] = {}
        self._users: dict[PoolKey, int] = {}
        self._own = itertools.count(1)
        self._devices = itertools.count()
        self._lock = asyncio.Lock()
        self._closed = False

    @property
    def size(self) -> int:
        """Workers of a pool that says nothing else."""
        return max(1, 1 if self._settings.parallel_workers is None else self._settings.parallel_workers)

    @property
    def pools(self) -> list[Pool]:
        """The pools there are."""
        return list(self._pools.values())

    def executor(self, settings: ModelSettings, *, apart: bool = False) -> Executor:
        """An executor for a model, in the pool it belongs to, which is its own where ``apart``. Nothing is started
        before it loads."""
        group = self._group(settings, apart)
        size = settings.parallel_workers or (instances_of(settings.configuration) if apart else 0)
        key: PoolKey | None = None

        async def enter() -> Pool:
            nonlocal key
            environment = await self._interpreter(settings)
            key = PoolKey(group, environment, 0 if size == self.size else size)
            return await self._enter(key)

        async def leave() -> None:
            if key is not None:
                await self._leave(key)

        return PoolExecutor(settings, enter, leave)

    def _group(self, settings: ModelSettings, apart: bool) -> str:
        parameters = settings.parameters
        if parameters.inference_pool_gid:
            return f"gid {parameters.inference_pool_gid}"
        if parameters.autogenerate_inference_pool_gid or apart:
            return f"own {next(self._own)}"
        if settings.parallel_workers and settings.parallel_workers != self.size:
            return f"model {settings.name} {settings.version}"
        return ""

    async def _interpreter(self, settings: ModelSettings) -> str:
        """The interpreter of the model's own environment, "" where it has none. Raises ModelLoadError."""
        tarball, folder = environment_of(settings)
        if tarball is not None:
            return str(await self._environments.interpreter_of(tarball, settings.name))
        return "" if folder is None else str(interpreter_in(folder, settings.name))

    async def _enter(self, key: PoolKey) -> Pool:
        async with self._lock:
            if self._closed:
                raise ModelLoadError("the server is stopping")
            pool = self._pools.get(key)
            if pool is None:
                pool = self._pools[key] = self._new_pool(key)
            self._users[key] = self._users.get(key, 0) + 1
            return pool

    async def _leave(self, key: PoolKey) -> None:
        async with self._lock:
            self._users[key] -= 1
            if self._users[key] or key == PoolKey() or self._closed:
                return
            del self._users[key]
            pool = self._pools.pop(key)
        await pool.close()

    def _new_pool(self, key: PoolKey) -> Pool:
        interpreter = key.environment or sys.executable
        threads = thread_variables(key.size or self.size)
        orders = [
            WorkerOrder(
                interpreter=interpreter,
                environment=threads | self._variables | self._device() | _environment_of(key.environment),
                path=() if key.environment else search_path(),
                memory=self._memory,
                heartbeat_timeout=self._settings.worker_heartbeat_timeout,
                retry=self._settings.worker_retry,
            )
            for _ in range(key.size or self.size)
        ]
        hint = ""
        if key.environment:
            hint = (
                f"; its environment must have this server's package: {interpreter} -m pip install "
                f"oipserver=={__version__}"
            )
        name = " ".join(part for part in (key.group, key.environment) if part) or "default"
        return Pool(name, orders, self._settings, self._timers, hint, self._caller)

    def _device(self) -> dict[str, str]:
        devices = self._settings.worker_devices
        return {"CUDA_VISIBLE_DEVICES": devices[next(self._devices) % len(devices)]} if devices else {}

    async def close(self) -> None:
        """Stop every pool. Nothing can be loaded any more."""
        async with self._lock:
            self._closed = True
            pools, self._pools = list(self._pools.values()), {}
        await asyncio.gather(*(pool.close() for pool in pools))


def _environment_of(interpreter: str) -> dict[str, str]:
    """Variables that make an environment's programs and libraries be found before others."""
    if not interpreter:
        return {}
    folder = Path(interpreter).parent
    return {"PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}", "VIRTUAL_ENV": str(folder.parent)}
