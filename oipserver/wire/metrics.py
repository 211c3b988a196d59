"""The small HTTP server of the metrics port; knows a page to show and nothing of what is on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from ..settings import Settings
from .address import bind
from .tls import GOODBYE_SECONDS, HANDSHAKE_SECONDS, Certificates, metrics_files

Page = Callable[[str], tuple[bytes, str]]

_GRACE = 1.0  # seconds a scrape under way gets to finish; longer is a client that does not read
_TEXT = "text/plain; charset=utf-8"


class MetricsServer:
    """Shows ``page`` (from an ``accept`` header to body and content type) at ``metrics_endpoint``."""

    def __init__(self, page: Page, settings: Settings) -> None:
        self._page = page
        self._settings = settings
        self._path = settings.metrics_endpoint or "/metrics"
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen, and return the port that was bound. Raises OIPError where the address or a certificate cannot be."""
        files = metrics_files(self._settings)
        certificates = Certificates(files) if files else None
        listener = bind(self._settings.host, self._settings.metrics_port, "metrics_port")
        config = Config(
            self._app,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=self._settings.debug,  # False would take the handlers of the logger that REST writes to
            server_header=False,
            date_header=False,
            proxy_headers=False,
        )
        config.load()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: HttpToolsProtocol(config=config, server_state=self._state, app_state={}),
            sock=listener,
            ssl=certificates.context if certificates else None,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if certificates else None,
            ssl_shutdown_timeout=GOODBYE_SECONDS if certificates else None,
        )
        port: int = listener.getsockname()[1]
        return port

    async def stop(self) -> None:
        """Accept nothing more, let scrapes under way finish, close."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=_GRACE)
        for connection in list(self._state.connections):
            connection.transport.close()
        try:
            await asyncio.wait_for(server.wait_closed(), _GRACE)
        except TimeoutError:
            for connection in list(self._state.connections):
                connection.transport.abort()

    async def _app(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http", "lifespan and websockets are off"
        status, body, content_type = 404, f"metrics are at {self._path}\n".encode(), _TEXT
        allow: list[tuple[bytes, bytes]] = []
        if scope["path"] == self._path:
            if scope["method"] in ("GET", "HEAD"):
                accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
                body, content_type = self._page(accept.decode("latin-1"))
                status = 200
            else:
                status, body, allow = 405, b"only GET and HEAD\n", [(b"allow", b"GET, HEAD")]
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            *allow,
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": body, "more_body": False})
