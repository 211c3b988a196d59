"""Health and metadata: what the data plane says, as JSON."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import FastAPI, Request
from starlette.responses import Response

from ...errors import InvalidArgumentError, UnavailableError
from ...plane import DataPlane
from ...protocol import ModelMetadata, TensorMetadata
from ...protocol.json_text import parse_json
from ...protocol.members import came
from ..names import check_model_name
from .client import ClientLeftError, read_body

MODEL = "/v2/models/{model_name}"
VERSION = MODEL + "/versions/{model_version}"


def json_response(value: object, status: int = 200) -> Response:
    """``value`` as an ``application/json`` answer."""
    return Response(orjson.dumps(value, default=str), status, headers={"content-type": "application/json"})


def _get(app: FastAPI, path: str, endpoint: Any) -> None:
    app.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False)


def add_data_routes(app: FastAPI, plane: DataPlane) -> None:
    """Health and metadata of the server and its models."""
    _add_server_routes(app, plane)
    _add_model_routes(app, plane)


def _add_server_routes(app: FastAPI, plane: DataPlane) -> None:
    async def live() -> Response:
        return json_response({"live": plane.live()})

    async def ready() -> Response:
        is_ready = plane.ready()
        return json_response({"ready": is_ready}, 200 if is_ready else 503)

    async def server() -> Response:
        told = plane.server_metadata()
        return json_response({"name": told.name, "version": told.version, "extensions": told.extensions})

    async def models() -> Response:
        return json_response(
            [
                {"name": model.name, "version": model.version, "state": model.state.value, "reason": model.reason}
                for model in plane.models()
            ]
        )

    _get(app, "/v2/health/live", live)
    _get(app, "/v2/health/ready", ready)
    _get(app, "/v2", server)
    _get(app, "/v2/", server)
    _get(app, "/v2/models", models)


def _add_model_routes(app: FastAPI, plane: DataPlane) -> None:
    async def model(model_name: str, model_version: str = "") -> Response:
        check_model_name(model_name)
        metadata = plane.model_metadata(model_name, model_version)
        return json_response(_metadata(metadata, list(metadata.versions) or plane.model_versions(model_name)))

    async def model_ready(model_name: str, model_version: str = "") -> Response:
        check_model_name(model_name)
        try:
            is_ready = plane.model_ready(model_name, model_version)
        except UnavailableError:
            is_ready = False
        return json_response({"name": model_name, "ready": is_ready}, 200 if is_ready else 503)

    for path in (MODEL, VERSION):
        _get(app, path, model)
        _get(app, f"{path}/ready", model_ready)


def _metadata(metadata: ModelMetadata, versions: list[str]) -> dict[str, Any]:
    return {
        "name": metadata.name,
        "versions": versions,
        "platform": metadata.platform,
        "inputs": [_tensor(tensor) for tensor in metadata.inputs],
        "outputs": [_tensor(tensor) for tensor in metadata.outputs],
        "parameters": metadata.parameters or {},
    }


def _tensor(tensor: TensorMetadata) -> dict[str, Any]:
    told: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
    if tensor.parameters:
        told["parameters"] = tensor.parameters
    return told


async def read_whole_body(request: Request, limit: int) -> bytes:
    """The body of ``request``. Raises InvalidArgumentError for more than ``limit`` bytes, or for half of one."""
    try:
        return await read_body(request.receive, request.headers.raw, limit)
    except ClientLeftError:
        raise InvalidArgumentError("the client left before its request was complete") from None


async def read_document(request: Request, limit: int) -> dict[str, Any]:
    """The JSON object in the body of ``request``; empty where there is none. Raises InvalidArgumentError."""
    return document_in(await read_whole_body(request, limit))


def document_in(body: bytes) -> dict[str, Any]:
    """The JSON object that ``body`` is; empty where there is none. Raises InvalidArgumentError."""
    document = parse_json(body) if body.strip() else {}
    if not isinstance(document, dict):
        raise InvalidArgumentError(f"unable to parse the request: expected a JSON object, got {came(document)}")
    return document
