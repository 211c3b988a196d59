"""The only constructor of everything: puts the server together, starts it, takes it down without losing a request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from .. import __version__
from ..errors import ModelLoadError
from ..executor.pool import PoolManager
from ..plane import (
    AnnotatedDataPlane,
    CachedDataPlane,
    CloudEvents,
    ControlPlane,
    DataPlane,
    ModelCalls,
    ResponseCache,
    TraceControl,
    TracedDataPlane,
    Watcher,
)
from ..plane.extensions.shared_memory import RegionPlane, RegionTable, open_cuda
from ..protocol import ServerMetadata
from ..registry import ModelRegistry, ServableBuilder
from ..repository import Overlays, Scan, model_repository, models_below
from ..runtime import collector, mlserver_alias
from ..settings import ModelSettings, Settings
from ..telemetry.metrics import Metrics
from ..telemetry.tracing import Tracing
from ..wire.grpc import GrpcServer
from ..wire.metrics import MetricsServer
from ..wire.rest import RestServer
from ..wire.tls import metrics_files, rest_files
from .report import StartReport, rows_of

_log = logging.getLogger(__name__)

#: Extensions of the protocol that are truly there; an extension's own package adds its name when it lands.
EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "logging",
    "model_configuration",
    "model_repository",
    "model_repository(unload_dependents)",
    "parameters",
    "schedule_policy",
    "sequence",
    "sequence(string_id)",
    "statistics",
    "trace",
)


class ServerState(Enum):
    """The life of a server."""

    NEW = "NEW"
    STARTING = "STARTING"
    READY = "READY"
    DRAINING = "DRAINING"
    STOPPED = "STOPPED"


_TRANSITIONS: dict[ServerState, frozenset[ServerState]] = {
    ServerState.NEW: frozenset({ServerState.STARTING, ServerState.DRAINING}),
    ServerState.STARTING: frozenset({ServerState.READY, ServerState.DRAINING}),
    ServerState.READY: frozenset({ServerState.DRAINING}),
    ServerState.DRAINING: frozenset({ServerState.STOPPED}),
    ServerState.STOPPED: frozenset(),
}


class Server:
    """A model server over one repository. ``start`` once, ``stop`` once."""

    def __init__(self, settings: Settings, root: Path) -> None:
        self._settings = settings
        self._state = ServerState.NEW
        mlserver_alias.install()  # for what the implementation of a repository imports
        self._repository = model_repository(settings, root)
        calls = ModelCalls()
        self._pools = PoolManager(settings, caller=calls)
        builder = ServableBuilder(settings, self._pools, calls)
        self._registry = ModelRegistry(builder, retries=settings.model_load_retry_count)
        builder.members.connect(self._registry)
        version = settings.server_version or __version__
        allowed = settings.allow_client_shm
        self._regions = RegionTable(allowed=allowed, cuda=open_cuda() if allowed else None)
        extensions = (*EXTENSIONS, *self._regions.extensions, *settings.extensions)
        metadata = ServerMetadata(settings.server_name, version, extensions)
        cache = ResponseCache(settings.cache_size, settings.cache_max_bytes) if settings.cache_enabled else None
        address = settings.tracing_server
        self._tracing = Tracing(address, settings.server_name, version) if address else None
        data = self._data_plane(metadata, cache)
        data.offer_regions(RegionPlane(data, self._regions))
        limits = settings.max_uploaded_bytes, settings.pull_uri_schemes
        overlays = Overlays(lambda folder: models_below(settings, folder), *limits)
        mode, concurrency = settings.model_control_mode, settings.model_load_thread_count
        control = ControlPlane(self._registry, self._repository, mode, overlays, concurrency=concurrency)
        calls.connect(self._registry, data, control)
        self._trace = TraceControl(data, settings)
        self._metrics = Metrics(settings, self._registry) if settings.metrics_endpoint else None
        if self._metrics:
            self._metrics.add_pools(lambda: self._pools.pools)
        if self._metrics and cache:
            self._metrics.add_cache(cache)
        page = self._metrics.page if self._metrics else None
        observers = (self._metrics.rest, self._metrics.grpc) if self._metrics else (None, None)
        self._rest = RestServer(data, control, settings, observer=observers[0], metrics_page=page, trace=self._trace)
        self._grpc = GrpcServer(data, control, settings, observer=observers[1], trace=self._trace)
        self._metrics_server = MetricsServer(page, settings) if page else None
        self._control = control
        self._watch: asyncio.Task[None] | None = None

    def _data_plane(self, metadata: ServerMetadata, cache: ResponseCache | None) -> DataPlane:
        """The data plane with what is asked for around it, and nothing else."""
        common = (self._registry, metadata, self._is_ready)
        data = CachedDataPlane(*common, cache) if cache else DataPlane(*common)
        if self._tracing:
            data = TracedDataPlane(*common, data, self._tracing)
        settings = self._settings
        if settings.generate_ids or settings.cloudevents_enabled:
            events = CloudEvents(settings.server_name) if settings.cloudevents_enabled else None
            data = AnnotatedDataPlane(*common, data, generate_ids=settings.generate_ids, events=events)
        return data

    def _go(self, state: ServerState) -> None:
        if state not in _TRANSITIONS[self._state]:
            raise RuntimeError(f"no way from {self._state.value} to {state.value}. This is a bug.")
        self._state = state
        self._registry.readiness.changed()

    @property
    def state(self) -> ServerState:
        """Where in its life the server is."""
        return self._state

    def _is_ready(self) -> bool:
        ready = self._state is ServerState.READY
        return ready and not (self._settings.strict_readiness and self._control.problems())

    async def start(self, models: Sequence[ModelSettings] | None = None) -> StartReport:
        """Listen, load the models, become READY. They are ``models`` where given, else those of the repository.

        The servers listen before the models load, so that probes are answered (live, not ready). Raises OIPError where
        a port is taken, the repository cannot be read, no model at all could be loaded, or any could not and
        ``exit_on_error`` is set; ``stop`` is to be called also then.
        """
        self._go(ServerState.STARTING)
        mlserver_alias.announce()
        scan = await self._wanted() if models is None else Scan(list(models))
        http_port = await self._rest.start() if self._settings.allow_http else None
        grpc_port = await self._grpc.start() if self._settings.allow_grpc else None
        metrics_port = await self._metrics_server.start() if self._metrics_server else None
        failures = await self._control.start(scan)
        if failures and (self._settings.exit_on_error or not list(self._registry)):
            raise ModelLoadError("; ".join(failures))
        self._go(ServerState.READY)
        if self._settings.model_control_mode == "poll":
            self._watch = asyncio.create_task(Watcher(self._control, self._settings.repository_poll_secs).run())
        collector.settle()
        return StartReport(
            self._settings.host,
            http_port,
            grpc_port,
            metrics_port,
            rows_of(self._registry),
            [*scan.problems, *failures],
            "https" if rest_files(self._settings) else "http",
            "https" if metrics_files(self._settings) else "http",
        )

    async def _wanted(self) -> Scan:
        """What is in the repository and to be served. Raises OIPError where that cannot be known, or is too bad."""
        scan = await self._repository.scan()
        settings = self._settings
        if not settings.load_models_at_startup:
            return Scan()
        if settings.model_control_mode == "explicit" and "*" not in settings.load_models:
            return scan.only(settings.load_models)
        if scan.problems and (settings.exit_on_error or not scan.models):
            raise ModelLoadError("; ".join(scan.problems))
        return scan

    async def stop(self) -> None:
        """Not ready, stop accepting, finish what is in flight within ``shutdown_timeout``, then let the models go."""
        self._go(ServerState.DRAINING)
        if self._watch:
            self._watch.cancel()
        grace = self._settings.shutdown_timeout
        await asyncio.gather(self._rest.stop(grace), self._grpc.stop(grace))
        try:
            async with asyncio.timeout(grace):
                await self._control.close()
        except TimeoutError:
            _log.warning("a model did not unload within %g s: leaving it behind", grace)
        await self._pools.close()
        self._regions.close()
        if self._metrics_server:
            await self._metrics_server.stop()
        await asyncio.to_thread(self._trace.close)
        if self._tracing:
            await asyncio.to_thread(self._tracing.close)
        self._go(ServerState.STOPPED)
