"""The outermost layer of the web application: no exception leaves it, every request is counted once."""

from __future__ import annotations

import logging
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .asgi_door import send_reply
from .errors import INTERNAL_MESSAGE, message_reply
from .observer import UNKNOWN_TEMPLATE, RequestObserver

_log = logging.getLogger(__name__)

_CLIENT_LEFT = 499


class Boundary:
    """Turns what nobody expected into a plain 500, with the traceback in the log alone, and tells ``observer``.

    Below ``root_path`` every path is found with that prefix and without it: some proxies strip it, some do not.
    """

    def __init__(self, app: ASGIApp, observer: RequestObserver | None = None, root_path: str = "") -> None:
        self._app = app
        self._observer = observer
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._root_path:
            scope["root_path"] = self._root_path
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        observer, start = self._observer, perf_counter()
        if observer is not None:
            observer.started()
        try:
            await self._app(scope, receive, noted)
        except Exception:
            _log.exception("%s %s failed", scope["method"], _template(scope))
            if status:
                raise  # the client has seen a beginning: only cutting the connection tells it that there is no end
            await send_reply(message_reply(500, INTERNAL_MESSAGE), noted)
        finally:
            if observer is not None:
                observer.finished(scope["method"], _template(scope), status or _CLIENT_LEFT, perf_counter() - start)


def _template(scope: Scope) -> str:
    path: str | None = getattr(scope.get("route"), "path", None)
    return path or UNKNOWN_TEMPLATE
