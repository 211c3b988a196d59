"""Health, metadata and model control: what the planes say, as JSON."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import FastAPI, Request
from starlette.responses import Response

from ...errors import InvalidArgumentError, UnavailableError, UnsupportedError
from ...plane import ControlPlane, DataPlane
from ...protocol import ModelMetadata, TensorMetadata
from ...protocol.json_text import parse_json
from ...settings import Settings
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

    _get(app, "/v2/health/live", live)
    _get(app, "/v2/health/ready", ready)
    _get(app, "/v2", server)
    _get(app, "/v2/", server)
    _get(app, "/v2/models", models)
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


def add_control_routes(app: FastAPI, plane: ControlPlane, settings: Settings) -> None:
    """The model repository extension."""

    async def index(request: Request) -> Response:
        wanted = (await read_document(request, settings.http_max_body_bytes)).get("ready")
        if wanted is not None and not isinstance(wanted, bool):
            raise InvalidArgumentError("Unable to parse 'ready': expected a boolean")
        rows = await plane.index(ready=bool(wanted))
        return json_response(
            [{"name": row.name, "version": row.version, "state": row.state.value, "reason": row.reason} for row in rows]
        )

    async def load(model_name: str, request: Request) -> Response:
        check_model_name(model_name)
        parameters = (await read_document(request, settings.http_max_body_bytes)).get("parameters")
        if isinstance(parameters, dict) and parameters:
            raise UnsupportedError(
                f"failed to load '{model_name}': load parameters ({', '.join(parameters)}) are not supported"
            )
        await plane.load(model_name)
        return Response()

    async def unload(model_name: str, request: Request) -> Response:
        check_model_name(model_name)
        await read_document(request, settings.http_max_body_bytes)
        await plane.unload(model_name)
        return Response()

    for path, endpoint in (
        ("index", index),
        ("models/{model_name}/load", load),
        ("models/{model_name}/unload", unload),
    ):
        app.add_api_route(f"/v2/repository/{path}", endpoint, methods=["POST"], include_in_schema=False)


async def read_document(request: Request, limit: int) -> dict[str, Any]:
    """The JSON object in the body of ``request``; empty where there is none. Raises InvalidArgumentError."""
    try:
        body = await read_body(request.receive, request.headers.raw, limit)
    except ClientLeftError:
        raise InvalidArgumentError("the client left") from None
    document = parse_json(body) if body.strip() else {}
    if not isinstance(document, dict):
        raise InvalidArgumentError("unable to parse the request: expected a JSON object")
    return document
