"""The generate extension: a flat JSON object in, one out or an event for every answer; V2 requests work as well."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.types import Send

from ....errors import InvalidArgumentError, OIPError
from ....plane import DataPlane
from ....protocol import InferRequest, InferResponse
from ....protocol.generate_form import is_v2, read_generate, write_generate
from ....protocol.json_text import parse_json
from ....protocol.members import came
from ....settings import Settings
from ....tensor.tensor import Buffer
from ...names import check_model_name
from ..asgi_door import AsgiInfer, RawRoute, send_reply
from ..errors import error_reply
from ..handler import InferHandler
from ..headers import HeaderView
from ..reply import JSON, Reply, safe_headers
from ..routes import MODEL, VERSION
from ..stream import AsgiInferStream, Events

_NOT_ONE = (
    "generate expects model to produce exactly 1 response, use generate stream for model that generates various number "
    "of responses"
)


def add_generate_routes(app: FastAPI, plane: DataPlane, handler: InferHandler, settings: Settings) -> None:
    """``generate`` and ``generate_stream`` of every model."""
    one, many = AsgiGenerate(plane, handler, settings), AsgiGenerateStream(plane, handler, settings)
    for path in (MODEL, VERSION):
        app.router.routes.append(RawRoute(f"{path}/generate", one))
        app.router.routes.append(RawRoute(f"{path}/generate_stream", many))


async def _flat_document(handler: InferHandler, headers: HeaderView, body: Buffer) -> dict[str, Any] | None:
    """The flat object in ``body``; None for a V2 request. Raises OIPError."""
    text = await handler.json_of(headers, body)
    if text is None:
        return None
    document = parse_json(text)
    if not isinstance(document, dict):
        raise InvalidArgumentError(f"unable to parse the request: expected a JSON object, got {came(document)}")
    return None if is_v2(document) else document


def _request(plane: DataPlane, name: str, version: str, headers: HeaderView, document: dict[str, Any]) -> InferRequest:
    metadata = plane.model_metadata(check_model_name(name), version)
    return read_generate(document, metadata, version, headers)


class AsgiGenerate(AsgiInfer):
    """An ASGI application: one answer, to a flat object or to a V2 request."""

    def __init__(self, plane: DataPlane, handler: InferHandler, settings: Settings) -> None:
        super().__init__(handler, settings.http_max_body_bytes)
        self._plane = plane
        self._nan_as_null = settings.json_nan_as_null

    async def _answer(self, name: str, version: str, headers: HeaderView, body: Buffer, send: Send) -> None:
        try:
            document = await _flat_document(self._handler, headers, body)
            if document is None:
                reply = await self._handler.handle(name, version, headers, body)
            else:
                reply = await self._generate(
                    self._handler.forwarded(_request(self._plane, name, version, headers, document))
                )
        except OIPError as error:
            reply = error_reply(error)
        await send_reply(reply, send)

    async def _generate(self, request: InferRequest) -> Reply:
        if self._plane.streams(request.model_name, request.model_version):
            response = await self._only(request)
        else:
            response = await self._plane.infer(request)
        text = write_generate(response, nan_as_null=self._nan_as_null)
        return Reply(200, JSON + safe_headers(response.headers or {}), [text])

    async def _only(self, request: InferRequest) -> InferResponse:
        """The answer of a model that may give any number; what it would say beyond a second one is not waited for."""
        found: InferResponse | None = None
        async with aclosing(self._plane.stream(request)) as answers:
            async for answer in answers:
                if found is not None:
                    raise InvalidArgumentError(_NOT_ONE)
                found = answer
        if found is None:
            raise InvalidArgumentError(_NOT_ONE)
        return found


class AsgiGenerateStream(AsgiInferStream):
    """An ASGI application: an event for every answer, to a flat object or to a V2 request, each in its own form."""

    async def read(self, name: str, version: str, headers: HeaderView, body: bytes) -> tuple[InferRequest, Events]:
        document = await _flat_document(self._handler, headers, body)
        if document is None:
            return await super().read(name, version, headers, body)
        request = self._handler.forwarded(_request(self._data_plane, name, version, headers, document))
        return request, Events(partial(write_generate, nan_as_null=self._nan_as_null), b"")
