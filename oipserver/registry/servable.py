"""One model version as it is served: settings, scheduler, executor, statistics, and the one state they are in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from threading import Lock
from time import monotonic_ns

from ..configuration import Configuration, described
from ..errors import OIPError, UnavailableError
from ..executor import Executor
from ..executor.reshaping import ReshapingExecutor
from ..protocol import ModelMetadata, ModelState
from ..runtime import ModelFace
from ..scheduler import Scheduler, StreamsOnly, policy_of, scheduler_for, visible_face
from ..settings import ModelSettings, Settings
from ..telemetry.statistics import ModelStatistics
from .checks import InputCheck, check_for
from .completion import complete
from .warmup import warm_up

_log = logging.getLogger(__name__)

_TRANSITIONS: dict[ModelState, frozenset[ModelState]] = {
    ModelState.UNKNOWN: frozenset({ModelState.LOADING, ModelState.UNAVAILABLE}),
    ModelState.LOADING: frozenset({ModelState.READY, ModelState.UNAVAILABLE}),
    ModelState.READY: frozenset({ModelState.UNLOADING}),
    ModelState.UNLOADING: frozenset({ModelState.UNAVAILABLE}),
    ModelState.UNAVAILABLE: frozenset(),
}


class Servable:
    """A model version from LOADING to UNAVAILABLE. A reload makes a new servable: states never go back.

    Whoever uses it holds a lease (``acquire`` and ``release``); ``unload`` waits for the last one. Its scheduler is
    chosen when the model is loaded: what it turned out to be has a word in that.
    """

    scheduler: Scheduler

    def __init__(self, settings: ModelSettings, executor: Executor, server: Settings) -> None:
        self.settings = settings
        self.name = settings.name
        self.version = settings.version
        self.executor = executor
        self.statistics = ModelStatistics()
        self._server = server
        self.face = ModelFace(ModelMetadata(settings.name))
        self.check = InputCheck(self.face)
        self.load_seconds = 0.0
        #: Called on the loop when a loaded version can be executed no more, or again.
        self.on_change: Callable[[], None] = lambda: None
        self._told = ""
        self._state = ModelState.UNKNOWN
        self._reason = ""
        self._leases = 0
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: asyncio.Event | None = None

    @property
    def state(self) -> ModelState:
        """Where in its life this version is; UNAVAILABLE also while its executor cannot run it."""
        if self._state is ModelState.READY and self.executor.unavailable_reason:
            return ModelState.UNAVAILABLE
        return self._state

    @property
    def reason(self) -> str:
        """Why it is in that state; "" where there is nothing to say."""
        return self._reason or (self.executor.unavailable_reason if self._state is ModelState.READY else "")

    @property
    def ready(self) -> bool:
        """Whether a request would be accepted now."""
        return self.state is ModelState.READY

    @property
    def configuration(self) -> Configuration:
        """The configuration it has in Triton's form; where it was given none, what its settings come to in that."""
        if self.settings.configuration is not None:
            return self.settings.configuration
        rows = policy_of(self.settings, self._server).max_batch_size
        return described(self.settings, self.face.metadata, rows, decoupled=self.face.streams)

    @property
    def execution_provider(self) -> str:
        """What computes it; "" where that is not known."""
        return self.face.execution_provider

    @property
    def metric_tags(self) -> Mapping[str, str]:
        """Labels that its configuration adds to its metrics."""
        tags: Mapping[str, str] = (self.settings.configuration or {}).get("metric_tags", {})
        return tags

    @property
    def in_flight(self) -> int:
        """Leases held."""
        return self._leases

    def _go(self, state: ModelState, reason: str = "") -> None:
        if state not in _TRANSITIONS[self._state]:
            raise RuntimeError(f"model '{self.name}': no way from {self._state.value} to {state.value}. This is a bug.")
        self._state, self._reason = state, reason

    async def load(self) -> None:
        """Load the model. Raises OIPError, leaving the servable UNAVAILABLE with the reason."""
        self._go(ModelState.LOADING)
        started = monotonic_ns()
        try:
            face = await self.executor.load()
            try:
                self._prepare(face)
                await self._warm_up()
            except BaseException:
                await self.executor.unload()
                raise
        except OIPError as error:
            self._go(ModelState.UNAVAILABLE, error.message)
            raise
        except BaseException:
            self._go(ModelState.UNAVAILABLE, "loading was interrupted")
            raise
        self.load_seconds = (monotonic_ns() - started) / 1e9
        self._go(ModelState.READY)

    def _prepare(self, face: ModelFace) -> None:
        """Choose what the requests of a model with ``face`` pass through. Raises ModelLoadError."""
        known = complete(self.settings, face, self._server)
        self.settings = known.settings
        if known.inputs or known.outputs:
            self.executor = ReshapingExecutor(self.executor, known.inputs, known.outputs)
        self.face = visible_face(known.face, self.settings)
        self.check = check_for(self.face, self.settings)
        self.scheduler = scheduler_for(self._server, self.settings, self.executor, self.statistics)
        if self.face.decoupled:
            self.scheduler = StreamsOnly(self.name, self.scheduler)
        self.scheduler.loaded(self.face)
        self.executor.changed = self._executor_changed

    def _executor_changed(self) -> None:
        self.scheduler.slots_changed()
        reason = self.executor.unavailable_reason
        if reason != self._told:
            self._told = reason
            self.on_change()

    async def _warm_up(self) -> None:
        configuration = self.settings.configuration
        if configuration is not None and configuration["model_warmup"]:
            await warm_up(configuration, self.settings.folder, self.check, self.executor, self.scheduler)

    def acquire(self) -> None:
        """Take a lease. Raises UnavailableError unless READY."""
        with self._lock:
            if self._state is not ModelState.READY:
                raise UnavailableError(
                    f"model '{self.name}' is not ready: it is {self._state.value}"
                    + (f" ({self._reason})" if self._reason else ""),
                    retry_after=1.0,
                )
            self._leases += 1

    def release(self) -> None:
        """Give a lease back."""
        with self._lock:
            self._leases -= 1
            last = self._leases == 0
        if last and self._idle is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._idle.set)

    async def quiesce(self) -> None:
        """Take no more leases and wait until the last one is given back."""
        self._loop, self._idle = asyncio.get_running_loop(), asyncio.Event()
        with self._lock:
            self._go(ModelState.UNLOADING)
            idle = self._leases == 0
        if not idle:
            await self._idle.wait()

    async def unload(self) -> None:
        """Wait for the leases, then let the model go."""
        if self._state is ModelState.READY:
            await self.quiesce()
            await self.scheduler.close()
            await self.executor.unload()
            self._go(ModelState.UNAVAILABLE, "unloaded")
