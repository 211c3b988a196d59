"""MLflow's scoring server: ``/ping``, ``/health``, ``/version``, and ``/invocations`` of every model."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

import orjson
from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ....errors import Code, InvalidArgumentError, OIPError
from ....plane import DataPlane
from ....protocol import ModelMetadata
from ....protocol.invocations_form import (
    BAD_REQUEST,
    CSV,
    JSON,
    PARQUET,
    STATUS,
    Invocation,
    InvocationsError,
    is_v2,
    read_invocations,
    write_invocations,
)
from ....settings import Settings
from ....tensor.tensor import Buffer
from ...names import check_model_name
from ..asgi_door import RawRoute, send_reply
from ..client import ClientLeftError, read_body, while_connected
from ..compression import decompressed
from ..errors import STATUS as STATUS_OF
from ..errors import error_headers
from ..handler import InferHandler
from ..headers import HeaderView, RawHeaders
from ..reply import JSON as JSON_HEADERS
from ..reply import Reply

_TYPES = [CSV, JSON, PARQUET]
_PLAIN = ((b"content-type", b"text/plain; charset=utf-8"),)
_IN_THREAD = 1 << 20  # bytes of a body from which reading it would hold up the event loop noticeably
_OUTDATED = (
    "IMPORTANT: The MLflow Model scoring protocol has changed in MLflow version 2.0. A client that sends this is "
    "likely to be older: upgrade it to 2.0 or later."
)
# MLflow's word for each outcome, and what it says beside it.
_CODES = {
    Code.INVALID_ARGUMENT: BAD_REQUEST,
    Code.NOT_FOUND: "RESOURCE_DOES_NOT_EXIST",
    Code.RESOURCE_EXHAUSTED: "REQUEST_LIMIT_EXCEEDED",
    Code.UNAVAILABLE: "TEMPORARILY_UNAVAILABLE",
    Code.UNSUPPORTED: "NOT_IMPLEMENTED",
}
_CLASSES = {"sqlstate": "KAM00", "error_class": "INVALID_PARAMETER_VALUE"}


def add_mlflow_routes(app: FastAPI, plane: DataPlane, handler: InferHandler, settings: Settings) -> None:
    """What MLflow's scoring server answers, unless the settings switch it off."""
    if not settings.mlflow_routes:
        return
    invocations = AsgiInvocations(plane, handler, settings)
    for path in ("/invocations", "/models/{model_name}/invocations"):
        app.router.routes.append(RawRoute(path, invocations))

    async def ping() -> Response:
        return Response("\n", 200 if plane.ready() else 503, headers={"content-type": "application/json"})

    async def told() -> Response:
        return Response(_version(), headers={"content-type": "application/json"})

    for path, endpoint in (("/ping", ping), ("/health", ping), ("/version", told)):
        app.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False)


def _version() -> str:
    """MLflow's version, or the protocol's where it is not installed."""
    for package in ("mlflow", "mlflow-skinny"):
        with suppress(PackageNotFoundError):
            return version(package)
    return "2.0"


class AsgiInvocations:
    """An ASGI application: a body in one of MLflow's forms, or an inference request of V2, and the answer likewise."""

    def __init__(self, plane: DataPlane, handler: InferHandler, settings: Settings) -> None:
        self._plane = plane
        self._handler = handler
        self._limit = settings.http_max_body_bytes
        self._timeout = settings.mlflow_request_timeout
        self._default = settings.mlflow_default_model

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: RawHeaders = list(scope["headers"])
        try:
            body = await read_body(receive, headers, self._limit)
        except ClientLeftError:
            return
        except OIPError as error:
            await send_reply(_failure(error), send)
            return

        async def answer() -> None:
            await send_reply(await self._answer(scope["path_params"].get("model_name", ""), headers, body), send)

        await while_connected(receive, answer())

    async def _answer(self, name: str, headers: RawHeaders, body: Buffer) -> Reply:
        view = HeaderView(headers)
        content_type, refusal = _media_type(view.get("content-type", ""))
        if refusal is not None:
            return refusal
        try:
            async with asyncio.timeout(self._timeout):
                model = check_model_name(name) if name else self._only()
                if encoding := view.get("content-encoding"):
                    body = await decompressed(body, encoding.encode("latin-1"), self._limit)
                if content_type == JSON and is_v2(body):
                    return await self._handler.handle(model, "", headers, body)
                return await self._predictions(model, content_type, body)
        except OIPError as error:
            return _failure(error)
        except TimeoutError:
            return Reply(504, JSON_HEADERS, [b"Request processing time exceeded limit"])

    async def _predictions(self, model: str, content_type: str, body: Buffer) -> Reply:
        metadata = self._plane.model_metadata(model)
        invocation = await _read(body, content_type, metadata)
        response = await self._plane.infer(invocation.request)
        if not invocation.raw:
            return Reply(200, JSON_HEADERS, [write_invocations(response, invocation)])
        (written,) = response.outputs
        told = written.parameters or {}
        return Reply(
            int(told[STATUS]), ((b"content-type", str(told["content_type"]).encode()),), [bytes(written.raw[4:])]
        )

    def _only(self) -> str:
        """The model that is meant when none is named. Raises InvalidArgumentError where that cannot be known."""
        if self._default:
            return self._default
        names = sorted({servable.name for servable in self._plane.models()})
        if len(names) == 1:
            return names[0]
        raise InvalidArgumentError(
            f"which model? Ask /models/NAME/invocations, or set mlflow_default_model; there are {', '.join(names)}"
            if names
            else "no model is loaded"
        )


async def _read(body: Buffer, content_type: str, metadata: ModelMetadata) -> Invocation:
    if content_type == PARQUET or len(body) > _IN_THREAD:
        return await asyncio.to_thread(read_invocations, body, content_type, metadata)
    return read_invocations(body, content_type, metadata)


def _media_type(header: str) -> tuple[str, Reply | None]:
    """The media type that a Content-Type names, and the refusal of one that is none of ours."""
    media_type, *pairs = map(str.strip, header.split(";"))
    parameters = {key.strip(): value for key, _, value in (pair.partition("=") for pair in pairs if pair)}
    if parameters.pop("charset", "utf-8").strip('"').lower() != "utf-8":
        return media_type, Reply(415, _PLAIN, [b"The scoring server only supports UTF-8"])
    if parameters:
        message = f"Unrecognized content type parameters: {', '.join(parameters)}. {_OUTDATED}"
        return media_type, Reply(415, _PLAIN, [message.encode()])
    if media_type.lower() not in _TYPES:
        message = f"This predictor only supports the following content types: Types: {_TYPES}. Got '{header}'."
        return media_type, Reply(415, _PLAIN, [message.encode()])
    return media_type.lower(), None


def _failure(error: OIPError) -> Reply:
    """The reply that tells ``error`` as MLflow does."""
    code = error.error_code if isinstance(error, InvocationsError) else _CODES.get(error.code, "INTERNAL_ERROR")
    told = {"error_code": code, "message": error.message} | (_CLASSES if code == BAD_REQUEST else {})
    return Reply(error.status_code or STATUS_OF[error.code], JSON_HEADERS + error_headers(error), [orjson.dumps(told)])
