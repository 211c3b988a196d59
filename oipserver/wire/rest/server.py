"""The REST server: its socket, its connections, its start and its end; handles no signal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from uvicorn.config import Config
from uvicorn.server import ServerState

from ...plane import ControlPlane, DataPlane, TraceControl
from ...settings import Settings
from ..address import BACKLOG, bind
from ..tls import GOODBYE_SECONDS, HANDSHAKE_SECONDS, Certificates, rest_files
from .app import create_app
from .choose import infer_handler
from .connection import RestConnection
from .cors import CrossOrigin
from .door import InferDoor
from .extensions.mlflow import Invocations
from .observer import RequestObserver

_log = logging.getLogger(__name__)


class RestServer:
    """Serves the planes over HTTP/1.1 from ``start`` to ``stop``, on the running loop."""

    def __init__(
        self,
        data_plane: DataPlane,
        control_plane: ControlPlane,
        settings: Settings,
        *,
        observer: RequestObserver | None = None,
        metrics_page: Callable[[], tuple[bytes, str]] | None = None,
        trace: TraceControl | None = None,
    ) -> None:
        self._settings = settings
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._gone = asyncio.Event()
        handler = infer_handler(data_plane, settings)
        invocations = Invocations(data_plane, handler, settings) if settings.mlflow_routes else None
        #: The application behind everything but inference; further routes may be added until ``start``.
        self.app = create_app(
            data_plane,
            control_plane,
            settings,
            handler=handler,
            invocations=invocations,
            observer=observer,
            metrics_page=metrics_page,
            trace=trace,
        )
        self._door = InferDoor(
            handler,
            settings.http_max_body_bytes,
            settings.http_max_chunks,
            settings.root_path.rstrip("/").encode(),
            CrossOrigin(settings.cors_settings) if settings.cors_settings else None,
            observer,
            scoring=invocations,
        )

    async def start(self) -> int:
        """Listen, and return the port that was bound. Raises OIPError where the address or a certificate cannot be."""
        settings = self._settings
        files = rest_files(settings)
        certificates = Certificates(files) if files else None
        listener = bind(settings.host, settings.http_port, "http_port")
        config = Config(
            self.app,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=settings.debug,
            server_header=False,
            date_header=False,
            proxy_headers=False,
        )
        config.load()
        loop = asyncio.get_running_loop()
        state, door = self._state, self._door

        def connection() -> RestConnection:
            return RestConnection(config, state, door, loop, self._gone.set)

        self._server = await loop.create_server(
            connection,
            sock=listener,
            backlog=BACKLOG,
            ssl=certificates.context if certificates else None,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if certificates else None,
            ssl_shutdown_timeout=GOODBYE_SECONDS if certificates else None,
        )
        port: int = listener.getsockname()[1]
        return port

    async def stop(self, grace: float) -> None:
        """Accept nothing more, let requests under way finish for at most ``grace`` seconds, then cut the rest off."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if not await self._drained(grace):
            _log.warning("%d requests did not finish in %g s and are cut off", len(self._state.tasks), grace)
            for task in list(self._state.tasks):
                task.cancel()
            for connection in list(self._state.connections):
                connection.transport.abort()
            await self._drained(1.0)
        await server.wait_closed()

    async def _drained(self, seconds: float) -> bool:
        """Whether every connection and task was gone before ``seconds`` had passed."""
        try:
            async with asyncio.timeout(seconds):
                while self._state.connections:
                    self._gone.clear()
                    await self._gone.wait()
                while self._state.tasks:
                    await asyncio.wait(self._state.tasks)
        except TimeoutError:
            return False
        return True
