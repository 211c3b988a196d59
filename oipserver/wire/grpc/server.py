"""The gRPC server: its address, its threads, its services, its start and its end; knows no message."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from ...pb import inference_pb2, model_config_pb2
from ...plane import ControlPlane, DataPlane, TraceControl
from ...settings import Settings
from ..address import bind, cannot_listen
from ..forwarding import HeaderForwarding
from . import health
from .convert import Parse, parse_infer
from .dialects import DIALECTS
from .dispatch import Dispatcher, GrpcObserver
from .handlers import (
    CallGroup,
    HealthCalls,
    InferHandler,
    LoggingCalls,
    ModelConfigurationCalls,
    RepositoryCalls,
    SharedMemoryCalls,
    StatisticsCalls,
    TraceCalls,
)
from .restricted import RestrictedCalls, restricted_methods
from .stream import StreamSession
from .transport import channel_options, credentials

SERVICE = "inference.GRPCInferenceService"
#: MLServer's older name for the repository's calls, with the same messages.
REPOSITORY_SERVICE = "inference.model_repository.ModelRepositoryService"

_QUICK_THREADS = 2


class GrpcServer:
    """Serves the planes over gRPC from ``start`` to ``stop``.

    Calls are answered in threads, not on the event loop: grpcio's own asyncio server costs 1.7 times the CPU. Each call
    holds a thread while it is answered, and threads come as calls do, up to ``grpc_threads``: measured, a hundred of
    them cost no more than four. A few threads of their own answer for health and metadata when all others wait.
    """

    def __init__(
        self,
        data_plane: DataPlane,
        control_plane: ControlPlane,
        settings: Settings,
        *,
        observer: GrpcObserver | None = None,
        trace: TraceControl | None = None,
    ) -> None:
        self._data = data_plane
        self._control = control_plane
        self._settings = settings
        self._observer = observer
        self._trace = trace
        self._threads = ThreadPoolExecutor(settings.grpc_threads, thread_name_prefix="grpc")
        self._quick = ThreadPoolExecutor(_QUICK_THREADS, thread_name_prefix="grpc-quick")
        self._server: grpc.Server | None = None
        self._dispatcher: Dispatcher | None = None
        self._health: health.HealthServicer | None = None
        self._watch: asyncio.Task[None] | None = None
        self._readiness_changed = asyncio.Event()
        data_plane.on_readiness(self._readiness_changed.set)

    async def start(self) -> int:
        """Listen, and return the port that was bound. Raises OIPError where the address or a certificate cannot be."""
        settings = self._settings
        loop = asyncio.get_running_loop()
        tls = credentials(settings)
        _require_free(settings.host, settings.grpc_port)
        restricted = restricted_methods(settings)
        interceptors = (RestrictedCalls(restricted),) if restricted else ()
        server = grpc.server(self._threads, options=channel_options(settings), interceptors=interceptors)
        self._dispatcher = Dispatcher(SERVICE, loop, self._quick, self._observer)
        server.add_registered_method_handlers(SERVICE, self._methods(self._dispatcher))
        older = Dispatcher(REPOSITORY_SERVICE, loop, self._quick, self._observer)
        server.add_registered_method_handlers(REPOSITORY_SERVICE, _calls(older, RepositoryCalls(self._control)))
        self._health = health.HealthServicer(lambda: self._ready_from_thread(loop), (SERVICE,))
        server.add_registered_method_handlers(health.SERVICE_NAME, self._health.handlers(self._quick))
        _add_reflection(server)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        try:
            address = f"{host}:{settings.grpc_port}"
            port: int = server.add_secure_port(address, tls) if tls else server.add_insecure_port(address)
        except RuntimeError:
            raise cannot_listen(settings.host, settings.grpc_port, "grpc_port", "the address cannot be used") from None
        server.start()
        self._server = server
        self._watch = asyncio.create_task(self._tell_watchers(self._health))
        return port

    async def stop(self, grace: float) -> None:
        """Accept nothing more, let calls under way finish for at most ``grace`` seconds, then cut the rest off."""
        server, self._server = self._server, None
        if server is None or self._dispatcher is None or self._health is None or self._watch is None:
            return
        self._watch.cancel()
        ended = server.stop(grace)
        for session in list(self._dispatcher.sessions):
            session.drain()
        await asyncio.to_thread(self._health.close)
        await asyncio.to_thread(ended.wait)
        for threads in (self._threads, self._quick):
            threads.shutdown(wait=False, cancel_futures=True)

    def _methods(self, dispatcher: Dispatcher) -> dict[str, grpc.RpcMethodHandler]:
        groups: tuple[CallGroup, ...] = (
            HealthCalls(self._data),
            RepositoryCalls(self._control),
            ModelConfigurationCalls(self._data),
            StatisticsCalls(self._data),
            SharedMemoryCalls(self._data),
            LoggingCalls(),
        )
        if self._trace is not None:
            groups += (TraceCalls(self._trace),)
        loop, dialect = asyncio.get_running_loop(), DIALECTS[self._settings.grpc_stream_dialect]
        parse = _parse(self._settings.grpc_header_forward_pattern)
        return {
            "ModelInfer": dispatcher.unary(
                "ModelInfer", InferHandler(self._data, typed_answers=self._settings.grpc_typed_answers, parse=parse)
            ),
            "ModelStreamInfer": dispatcher.stream(
                "ModelStreamInfer", lambda call: StreamSession(self._data, call, loop, dialect, parse)
            ),
            **{name: handler for group in groups for name, handler in _calls(dispatcher, group).items()},
        }

    async def _ready(self) -> bool:
        return self._data.ready()

    def _ready_from_thread(self, loop: asyncio.AbstractEventLoop) -> bool:
        return asyncio.run_coroutine_threadsafe(self._ready(), loop).result()

    async def _tell_watchers(self, servicer: health.HealthServicer) -> None:
        """Pass changes of the readiness on."""
        while True:
            await self._readiness_changed.wait()
            self._readiness_changed.clear()
            await asyncio.to_thread(servicer.refresh)


def _calls(dispatcher: Dispatcher, group: CallGroup) -> dict[str, grpc.RpcMethodHandler]:
    return {name: dispatcher.on_loop(name, handler, quick=group.quick) for name, handler in group.calls.items()}


def _parse(forward: str) -> Parse:
    """What makes requests of messages; headers that match ``forward`` become parameters where it is given."""
    if not forward:
        return parse_infer
    forwarding = HeaderForwarding("grpc_header_forward_pattern", forward)
    return lambda data, headers=None, deadline=None: forwarding(parse_infer(data, headers, deadline))


def _add_reflection(server: grpc.Server) -> None:
    pool = DescriptorPool()
    for module in (model_config_pb2, inference_pb2, health_pb2, reflection_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    services = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    servicer = reflection.ReflectionServicer(services, pool=pool)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)


def _require_free(host: str, port: int) -> None:
    """grpcio says on stderr what is wrong with an address, and in the exception nothing: ask the system first."""
    if port:
        bind(host, port, "grpc_port").close()
