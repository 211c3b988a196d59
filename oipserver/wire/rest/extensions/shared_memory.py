"""The shared memory extensions as JSON: registering, looking at and letting go of regions."""

from __future__ import annotations

import asyncio
import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from ....errors import InvalidArgumentError
from ....plane import DataPlane
from ....plane.extensions.shared_memory import CudaRegion, Region, RegionTable, SystemRegion
from ....protocol.members import byte_count, came, wrong
from ....settings import Settings
from ..routes import json_response, read_document

_SYSTEM = "/v2/systemsharedmemory"
_CUDA = "/v2/cudasharedmemory"
Register = Callable[[RegionTable, str, Mapping[str, Any]], None]


def add_shared_memory_routes(app: FastAPI, plane: DataPlane, settings: Settings) -> None:
    """``status``, ``register`` and ``unregister`` of system and CUDA regions, of one or of all."""
    _add(app, _SYSTEM, plane, settings, SystemRegion, _register_system)
    _add(app, _CUDA, plane, settings, CudaRegion, _register_cuda)


def _add(app: FastAPI, path: str, plane: DataPlane, settings: Settings, kind: type[Region], register: Register) -> None:
    async def status(region_name: str = "") -> Response:
        return json_response([region.described() for region in plane.over_regions.table.status(kind, region_name)])

    async def add(region_name: str, request: Request) -> Response:
        document = await read_document(request, settings.http_max_body_bytes)
        # In a thread: a GPU takes its time, and opening a file may take some.
        await asyncio.to_thread(register, plane.over_regions.table, region_name, document)
        return Response()

    async def remove(request: Request, region_name: str = "") -> Response:
        await read_document(request, settings.http_max_body_bytes)
        plane.over_regions.table.unregister(kind, region_name)
        return Response()

    one = f"{path}/region/{{region_name}}"
    for place in (path, one):
        app.add_api_route(f"{place}/status", status, methods=["GET"], include_in_schema=False)
        app.add_api_route(f"{place}/unregister", remove, methods=["POST"], include_in_schema=False)
    app.add_api_route(f"{one}/register", add, methods=["POST"], include_in_schema=False)


def _register_system(table: RegionTable, name: str, document: Mapping[str, Any]) -> None:
    key = _member(document, "key")
    if not isinstance(key, str):
        raise wrong("key", "a string", key)
    size = byte_count(_member(document, "byte_size"), "byte_size")
    table.register_system(name, key, byte_count(document.get("offset", 0), "offset"), size)


def _register_cuda(table: RegionTable, name: str, document: Mapping[str, Any]) -> None:
    handle = _handle(_member(document, "raw_handle"))
    device = byte_count(_member(document, "device_id"), "device_id")
    table.register_cuda(name, handle, device, byte_count(_member(document, "byte_size"), "byte_size"))


def _member(document: Mapping[str, Any], member: str) -> object:
    if member not in document:
        raise InvalidArgumentError(f"Shared memory register request has no '{member}' field")
    return document[member]


def _handle(value: object) -> bytes:
    text = value.get("b64") if isinstance(value, dict) else None
    if not isinstance(text, str):
        got = came(value) if text is None else came(text)
        raise InvalidArgumentError(f"Unable to parse 'raw_handle': expected an object with a string 'b64', got {got}")
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArgumentError("Unable to parse 'raw_handle': 'b64' is not base64") from None
