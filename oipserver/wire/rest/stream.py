"""Streamed inference as server-sent events, one per answer of the model."""

from __future__ import annotations

import logging

from starlette.types import Receive, Scope, Send

from ...errors import OIPError
from ...plane import DataPlane
from ...protocol import InferResponse
from ...protocol.v2_json import write_response
from ...settings import Settings
from .asgi_door import send_reply
from .client import ClientLeftError, read_body, while_connected
from .errors import INTERNAL_MESSAGE, error_body, error_reply, message_reply
from .handler import READ_HEADERS, InferHandler
from .headers import RawHeaders
from .reply import Headers, safe_headers

_log = logging.getLogger(__name__)

_HEADERS: Headers = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class AsgiInferStream:
    """An ASGI application: a V2 request in, an event for every answer out.

    An error before the first answer is an ordinary error answer; a later one is an event named "error".
    """

    def __init__(self, data_plane: DataPlane, handler: InferHandler, settings: Settings) -> None:
        self._data_plane = data_plane
        self._handler = handler
        self._max_body = settings.http_max_body_bytes
        self._nan_as_null = settings.json_nan_as_null

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = list(scope["headers"])
        try:
            body = await read_body(receive, headers, self._max_body)
        except ClientLeftError:
            return
        except OIPError as error:
            await send_reply(error_reply(error), send)
            return
        await while_connected(receive, _Stream(self, send).run(scope["path_params"], headers, body))

    def event(self, response: InferResponse) -> bytes:
        """``response`` as one event."""
        return b"data: %b\n\n" % write_response(response, nan_as_null=self._nan_as_null)

    async def answers(self, path: dict[str, str], headers: RawHeaders, body: bytes, stream: _Stream) -> None:
        """Hand every answer of the model to ``stream``. Raises OIPError."""
        read = {key: value for key, value in headers if key in READ_HEADERS}
        name, version = path["model_name"], path.get("model_version", "")
        request, _ = await self._handler.read(name, version, headers, read, body)
        async for response in self._data_plane.stream(request):
            await stream.send_event(self.event(response), safe_headers(response.headers or {}))


class _Stream:
    """One answer on its way: nothing sent yet, or under way."""

    def __init__(self, app: AsgiInferStream, send: Send) -> None:
        self._app = app
        self._send = send
        self._started = False

    async def run(self, path: dict[str, str], headers: RawHeaders, body: bytes) -> None:
        try:
            await self._app.answers(path, headers, body, self)
        except OIPError as error:
            if not self._started:
                await send_reply(error_reply(error), self._send)
                return
            await self.send_event(b"event: error\ndata: %b\n\n" % error_body(error.message))
        except Exception:
            _log.exception("a stream of model '%s' failed", path["model_name"])
            if not self._started:
                await send_reply(message_reply(500, INTERNAL_MESSAGE), self._send)
                return
            await self.send_event(b"event: error\ndata: %b\n\n" % error_body(INTERNAL_MESSAGE))
        await self._start(())
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def send_event(self, event: bytes, headers: Headers = ()) -> None:
        """Send ``event``; ``headers`` go out if it is the first."""
        await self._start(headers)
        await self._send({"type": "http.response.body", "body": event, "more_body": True})

    async def _start(self, headers: Headers) -> None:
        if not self._started:
            self._started = True
            await self._send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]})
