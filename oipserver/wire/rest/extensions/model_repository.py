"""The model repository extension as JSON: index, load with overrides, unload."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from ....errors import InvalidArgumentError, UnsupportedError
from ....plane import ControlPlane
from ....protocol import ModelState, RepositoryIndexItem
from ....protocol.members import accessed, wrong
from ....repository import Overrides, check_file
from ....settings import Settings
from ...names import check_controlled_name
from ..routes import document_in, json_response, read_document, read_whole_body

_REPOSITORY = "/v2/repository"
# Decoding this much JSON and base64 takes longer than going to a thread for it.
_LARGE = 1 << 20


def add_model_repository_routes(app: FastAPI, plane: ControlPlane, settings: Settings) -> None:
    """Index, load and unload; and that there is one repository only, whatever the number of its folders."""
    limit = settings.http_max_body_bytes

    async def index(request: Request) -> Response:
        wanted = (await read_document(request, limit)).get("ready")
        if wanted is not None and not isinstance(wanted, bool):
            raise wrong("ready", "a boolean", wanted)
        return json_response([_row(row) for row in await plane.index(ready=bool(wanted))])

    async def load(model_name: str, request: Request) -> Response:
        check_controlled_name(model_name)
        body = await read_whole_body(request, limit)
        overrides = await asyncio.to_thread(_overrides, body) if len(body) > _LARGE else _overrides(body)
        del body  # it may be large, and loading may take long
        await plane.load(model_name, overrides)
        return Response()

    async def unload(model_name: str, request: Request) -> Response:
        check_controlled_name(model_name)
        parameters = _parameters(await read_document(request, limit))
        await plane.unload(model_name, dependents=parameters.get("unload_dependents") is True)
        return Response()

    async def named() -> Response:
        raise UnsupportedError("'repository_name' specification is not supported")

    model = "models/{model_name}"
    routes: dict[str, Callable[..., Any]] = {
        "index": index,
        f"{model}/load": load,
        f"{model}/unload": unload,
        "{repository}/index": named,
    }
    for path, endpoint in routes.items():
        app.add_api_route(f"{_REPOSITORY}/{path}", endpoint, methods=["POST"], include_in_schema=False)


def _row(row: RepositoryIndexItem) -> dict[str, str]:
    """One line of the index; a model that never was loaded has a name and nothing else."""
    if row.state is ModelState.UNKNOWN:
        return {"name": row.name}
    return {"name": row.name, "version": row.version, "state": row.state.value, "reason": row.reason}


def _parameters(document: dict[str, Any]) -> dict[str, Any]:
    parameters = document.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise wrong("parameters", "an object", parameters)
    return parameters


def _overrides(body: bytes) -> Overrides | None:
    """What the body of a load request overrides; None where nothing. Raises InvalidArgumentError."""
    parameters = _parameters(document_in(body))
    files: dict[str, bytes] = {}
    for key, value in parameters.items():
        if key in ("config", "uri"):
            if not isinstance(value, str):
                raise accessed(key, "string", value)
        elif key.startswith("file:"):
            files[check_file(key.removeprefix("file:"))] = _content(key, value)
        else:
            raise InvalidArgumentError(f"unrecognized load parameter '{key}'.")
    return Overrides(parameters.get("config"), files, parameters.get("uri")) if parameters else None


def _content(key: str, value: object) -> bytes:
    if isinstance(value, str):
        with suppress(ValueError):  # of what is no base64
            return b64decode(value, validate=True)
    raise InvalidArgumentError(f"invalid value for load parameter '{key}', expected base64 encoded bytes.")
