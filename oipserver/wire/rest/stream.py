"""Streamed inference as server-sent events, one per answer of the model."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import NamedTuple

from starlette.types import Receive, Scope, Send

from ...errors import OIPError
from ...plane import DataPlane
from ...protocol import InferRequest, InferResponse
from ...protocol.v2_json import write_response
from ...settings import Settings
from .asgi_door import send_reply, take_body, target_of
from .client import while_connected
from .errors import INTERNAL_MESSAGE, error_body, error_reply, message_reply
from .handler import InferHandler
from .headers import HeaderView
from .reply import Headers, safe_headers

_log = logging.getLogger(__name__)

_HEADERS: Headers = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class Events(NamedTuple):
    """How answers and an error after them are written."""

    answer: Callable[[InferResponse], bytes]
    error: bytes


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
        headers = HeaderView(list(scope["headers"]))
        if (body := await take_body(receive, send, headers, self._max_body)) is None:
            return
        await while_connected(receive, _Stream(self, send).run(*target_of(scope), headers, body))

    async def answers(self, name: str, version: str, headers: HeaderView, body: bytes, stream: _Stream) -> None:
        """Hand every answer of the model to ``stream``. Raises OIPError."""
        request, stream.events = await self.read(name, version, headers, body)
        plane = self._data_plane if request.regions is None else self._data_plane.over_regions
        answers: AsyncGenerator[InferResponse, None] = plane.stream(request)
        async with aclosing(answers):
            async for response in answers:
                await stream.send_answer(response)

    async def read(self, name: str, version: str, headers: HeaderView, body: bytes) -> tuple[InferRequest, Events]:
        """The request in ``body``, and how its answers are written. Raises OIPError."""
        request, _ = await self._handler.read(name, version, headers, body)
        return request, self.v2_events()

    def v2_events(self) -> Events:
        """Answers as V2 JSON; an error is an event named "error"."""
        return Events(partial(write_response, nan_as_null=self._nan_as_null), b"event: error\n")


class _Stream:
    """One answer on its way: nothing sent yet, or under way."""

    def __init__(self, app: AsgiInferStream, send: Send) -> None:
        self._app = app
        self._send = send
        self._started = False
        self.events = app.v2_events()

    async def run(self, name: str, version: str, headers: HeaderView, body: bytes) -> None:
        try:
            await self._app.answers(name, version, headers, body, self)
        except OIPError as error:
            if not self._started:
                await send_reply(error_reply(error), self._send)
                return
            await self._send_error(error.message)
        except Exception:
            _log.exception("a stream of model '%s' failed", name)
            if not self._started:
                await send_reply(message_reply(500, INTERNAL_MESSAGE), self._send)
                return
            await self._send_error(INTERNAL_MESSAGE)
        await self._start(())
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def send_answer(self, response: InferResponse) -> None:
        """Send ``response`` as an event; its headers go out if it is the first."""
        text = self.events.answer(response)
        await self._start(safe_headers(response.headers or {}))
        await self._send_event(b"", text)

    async def _send_error(self, message: str) -> None:
        await self._send_event(self.events.error, error_body(message))

    async def _send_event(self, kind: bytes, data: bytes) -> None:
        event = b"%bdata: %b\n\n" % (kind, data)
        await self._send({"type": "http.response.body", "body": event, "more_body": True})

    async def _start(self, headers: Headers) -> None:
        if not self._started:
            self._started = True
            await self._send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]})
