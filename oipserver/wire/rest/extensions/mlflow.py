"""MLflow's scoring server: ``/ping``, ``/health``, ``/version``, and ``/invocations`` of every model."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import unquote

import orjson
from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ....errors import Code, InternalError, InvalidArgumentError, OIPError
from ....plane import DataPlane
from ....protocol import ModelMetadata
from ....protocol.invocations_form import (
    CSV,
    JSON,
    PARQUET,
    Invocation,
    is_v2,
    read_invocations,
    unpacked_reply,
    write_invocations,
)
from ....protocol.invocations_table import BAD_REQUEST, INVALID, InvocationsError
from ....settings import Settings
from ....tensor.tensor import Buffer
from ...names import check_model_name
from ..asgi_door import RawRoute, send_reply, take_body
from ..client import while_connected
from ..compression import decompressed
from ..errors import INTERNAL_MESSAGE, error_headers
from ..errors import STATUS as STATUS_OF
from ..handler import InferHandler
from ..headers import HeaderView
from ..reply import JSON as JSON_HEADERS
from ..reply import Reply
from ..restricted import refusal, restrictions

_log = logging.getLogger(__name__)

_DEFAULT_PATH, _MODEL_PATH = "/invocations", "/models/{model_name}/invocations"
_PATH = re.compile(rb"/models/([^/?]+)/invocations")
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
_CLASSES = {
    BAD_REQUEST: {"sqlstate": "KAM00", "error_class": "INVALID_PARAMETER_VALUE"},
    INVALID: {"sqlstate": "KAM01", "error_class": "SCHEMA_ENFORCEMENT_FAILED"},
}


def add_mlflow_routes(app: FastAPI, plane: DataPlane, invocations: Invocations, settings: Settings) -> None:
    """What MLflow's scoring server answers."""
    endpoint = AsgiInvocations(invocations, settings.http_max_body_bytes)
    for path in (_DEFAULT_PATH, _MODEL_PATH):
        app.router.routes.append(RawRoute(path, endpoint))

    async def ping() -> Response:
        return Response("\n", 200 if plane.ready() else 503, headers={"content-type": "application/json"})

    async def told() -> Response:
        return Response(_version(), headers={"content-type": "application/json"})

    for path, page in (("/ping", ping), ("/health", ping), ("/version", told)):
        app.add_api_route(path, page, methods=["GET", "HEAD"], include_in_schema=False)


def _version() -> str:
    """MLflow's version, or the protocol's where it is not installed."""
    for package in ("mlflow", "mlflow-skinny"):
        with suppress(PackageNotFoundError):
            return version(package)
    return "2.0"


class Invocations:
    """Answers bodies in one of MLflow's forms, and inference requests of V2, each likewise."""

    def __init__(self, plane: DataPlane, handler: InferHandler, settings: Settings) -> None:
        self._plane = plane
        self._handler = handler
        self._limit = settings.http_max_body_bytes
        self._timeout = settings.mlflow_request_timeout
        self._default = settings.mlflow_default_model
        self._needed = restrictions(settings).get("inference")

    def match(self, path: bytes) -> str | None:
        """The model that a path names, "" for the one that needs no name, None for a path of somebody else."""
        if path == b"/invocations":
            return ""
        found = _PATH.fullmatch(path)
        return None if found is None else unquote(found[1].decode("latin-1"))

    def template(self, name: str) -> str:
        """What requests are counted under."""
        return _MODEL_PATH if name else _DEFAULT_PATH

    async def begin(self, name: str, version: str, headers: HeaderView, body: Buffer) -> Reply:
        """The reply to a request for model ``name``, "" for the default one. Raises nothing but cancellation."""
        if self._needed is not None and not self._needed.given(headers):
            return refusal(self._needed)
        content_type, refused = _media_type(headers.get("content-type", ""))
        if refused is not None:
            return refused
        try:
            async with asyncio.timeout(self._timeout):
                reply = await self._answer(name, content_type, headers, body)
        except OIPError as error:
            return _failure(error)
        except TimeoutError:
            return Reply(504, JSON_HEADERS, [b"Request processing time exceeded limit"])
        except Exception:
            _log.exception("an invocation of model '%s' failed", name)
            return _failure(InternalError(INTERNAL_MESSAGE))
        return await self._handler.in_wanted_encoding(reply, headers)

    async def _answer(self, name: str, content_type: str, headers: HeaderView, body: Buffer) -> Reply:
        model = check_model_name(name) if name else self._only()
        if encoding := headers.form.get(b"content-encoding"):
            body = await decompressed(body, encoding, self._limit)
            decoded = HeaderView([(key, value) for key, value in headers.raw if key != b"content-encoding"])
        else:
            decoded = headers
        if content_type == JSON and is_v2(body):
            return await self._handler.handle(model, "", decoded, body)
        invocation = await _read(body, content_type, self._plane.model_metadata(model))
        invocation.request.headers = headers
        response = await self._plane.infer(self._handler.forwarded(invocation.request))
        if not invocation.raw:
            return Reply(200, JSON_HEADERS, [write_invocations(response, invocation)])
        status, media_type, written = unpacked_reply(response)
        return Reply(status, ((b"content-type", media_type),), [written])

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


class AsgiInvocations:
    """Invocations as an ASGI application."""

    def __init__(self, invocations: Invocations, max_body: int) -> None:
        self._invocations = invocations
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = HeaderView(list(scope["headers"]))
        if (body := await take_body(receive, send, headers, self._max_body, _failure)) is None:
            return

        async def answer() -> None:
            name = scope["path_params"].get("model_name", "")
            await send_reply(await self._invocations.begin(name, "", headers, body), send)

        await while_connected(receive, answer())


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
    told = {"error_code": code, "message": error.message} | _CLASSES.get(code, {})
    return Reply(error.status_code or STATUS_OF[error.code], JSON_HEADERS + error_headers(error), [orjson.dumps(told)])
