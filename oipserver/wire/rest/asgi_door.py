"""The infer routes as raw ASGI, for servers other than ours; answers exactly what the connection's own way does."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from ...errors import OIPError
from ...tensor.tensor import Buffer
from .client import ClientLeftError, read_body, while_connected
from .errors import error_reply
from .handler import InferHandler
from .headers import RawHeaders
from .reply import Reply


class AsgiInfer:
    """An ASGI application for requests whose path parameters are ``model_name`` and perhaps ``model_version``."""

    def __init__(self, handler: InferHandler, max_body: int) -> None:
        self._handler = handler
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = list(scope["headers"])
        try:
            body = await read_body(receive, headers, self._max_body)
        except ClientLeftError:
            return
        except OIPError as error:
            await send_reply(error_reply(error), send)
            return
        await while_connected(receive, self._answer(scope["path_params"], headers, body, send))

    async def _answer(self, path: dict[str, str], headers: RawHeaders, body: Buffer, send: Send) -> None:
        reply = await self._handler.handle(path["model_name"], path.get("model_version", ""), headers, body)
        await send_reply(reply, send)


async def send_reply(reply: Reply, send: Send) -> None:
    """Send ``reply`` as ASGI messages."""
    headers = [*reply.headers, (b"content-length", b"%d" % reply.size)]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    last = len(reply.buffers) - 1
    for index, buffer in enumerate(reply.buffers):
        body = bytes(buffer) if isinstance(buffer, memoryview) else buffer
        await send({"type": "http.response.body", "body": body, "more_body": index < last})
