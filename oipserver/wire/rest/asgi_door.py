"""The infer routes as raw ASGI, for servers other than ours; answers exactly what the connection's own way does."""

from __future__ import annotations

from collections.abc import Callable

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ...errors import OIPError
from ...tensor.tensor import Buffer
from .client import ClientLeftError, read_body, while_connected
from .errors import error_reply
from .handler import InferHandler, version_in_query
from .headers import HeaderView
from .reply import Reply


class RawRoute(Route):
    """A POST route to an ASGI application."""

    def __init__(self, path: str, endpoint: ASGIApp) -> None:
        super().__init__(path, endpoint, methods=["POST"], include_in_schema=False)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self
        await super().handle(scope, receive, send)


class AsgiInfer:
    """An ASGI application for requests whose path parameters are ``model_name`` and perhaps ``model_version``."""

    def __init__(self, handler: InferHandler, max_body: int) -> None:
        self._handler = handler
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = HeaderView(list(scope["headers"]))
        if (body := await take_body(receive, send, headers, self._max_body)) is None:
            return
        await while_connected(receive, self._answer(*target_of(scope), headers, body, send))

    async def _answer(self, name: str, version: str, headers: HeaderView, body: Buffer, send: Send) -> None:
        await send_reply(await self._handler.handle(name, version, headers, body), send)


def target_of(scope: Scope) -> tuple[str, str]:
    """Name and version (or "") of the model a request is for."""
    path = scope["path_params"]
    return path["model_name"], path.get("model_version", "") or version_in_query(scope["query_string"])


async def take_body(
    receive: Receive,
    send: Send,
    headers: HeaderView,
    limit: int,
    refuse: Callable[[OIPError], Reply] = error_reply,
) -> bytes | None:
    """The whole body; None where there is nothing more to do: the client has left, or was told that it is too large."""
    try:
        return await read_body(receive, headers.raw, limit)
    except ClientLeftError:
        return None
    except OIPError as error:
        await send_reply(refuse(error), send)
        return None


async def send_reply(reply: Reply, send: Send) -> None:
    """Send ``reply`` as ASGI messages."""
    headers = [*reply.headers, (b"content-length", b"%d" % reply.size)]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    last = len(reply.buffers) - 1
    for index, buffer in enumerate(reply.buffers):
        body = bytes(buffer) if isinstance(buffer, memoryview) else buffer
        await send({"type": "http.response.body", "body": body, "more_body": index < last})
