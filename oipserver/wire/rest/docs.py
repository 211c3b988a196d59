"""The pages for people: where things are, and the interactive documentation with all of its own files."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ...plane import DataPlane
from ...runtime.handlers import HandlerRoute
from ...settings import Settings
from .routes import MODEL, VERSION, json_response

_ASSETS = Path(__file__).parent / "assets"
_TYPES = {"swagger-ui-bundle.js": "text/javascript; charset=utf-8", "swagger-ui.css": "text/css; charset=utf-8"}
_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{assets}/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="{assets}/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({{
  url: "{base}/dataplane.json", dom_id: "#docs", deepLinking: true, validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset]
}});
</script>
</body>
</html>
"""


@cache
def _asset(name: str) -> bytes:
    return (_ASSETS / name).read_bytes()


def openapi_document(version: str, root_path: str = "") -> dict[str, Any]:
    """The OpenAPI description of the REST interface, for a server of ``version`` behind ``root_path``."""
    document: dict[str, Any] = orjson.loads(_asset("dataplane.json"))
    document["info"]["version"] = version
    document["servers"] = [{"url": root_path or "/"}]
    return document


def model_document(
    version: str, root_path: str, model: str, model_version: str, handlers: list[HandlerRoute]
) -> dict[str, Any]:
    """The OpenAPI description of one model, its custom handlers included; with ``model_version`` of that version."""
    whole = openapi_document(version, root_path)
    general = VERSION if model_version else MODEL
    own = general.format(model_name=quote(model, safe=""), model_version=quote(model_version, safe=""))
    whole["info"] |= {
        "title": f"Data Plane for Model {model}",
        "description": f"REST protocol to interact with Model {model}",
    }
    whole["paths"] = {
        own + path.removeprefix(general): _without_parameters(item)
        for path, item in whole["paths"].items()
        if path.startswith(general) and (model_version or not path.startswith(VERSION))
    }
    for route in handlers:
        item = whole["paths"].setdefault(f"{own}/handlers/{_plain_path(route.path)}", {})
        item[route.method.lower()] = _handler_operation(route)
    return whole


def _without_parameters(item: dict[str, Any]) -> dict[str, Any]:
    """A path's operations without what its path says already."""
    for operation in item.values():
        rest = [
            one for one in operation.get("parameters", ()) if one.get("name") not in ("model_name", "model_version")
        ]
        operation["parameters"] = rest
    return item


def _plain_path(path: str) -> str:
    return _PARAMETER.sub(r"{\1}", path.lstrip("/"))


def _handler_operation(route: HandlerRoute) -> dict[str, Any]:
    return {
        "tags": ["Custom handlers"],
        "operationId": route.name,
        "summary": f"The model's own handler '{route.name}'.",
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in _PARAMETER.findall(route.path)
        ],
        "responses": {"200": {"description": "What the handler answers."}},
    }


def _page(title: str, root: str, place: str) -> Response:
    """The interactive documentation of what ``place`` describes."""
    assets, base = escape(f"{root}/v2/docs/assets"), escape(f"{root}{place}")
    return Response(_PAGE.format(title=escape(title), assets=assets, base=base), media_type="text/html")


def add_docs(app: FastAPI, plane: DataPlane, settings: Settings) -> None:
    """Add ``/``, ``/v2/docs`` and what belongs to it."""
    root = settings.root_path.rstrip("/")

    async def start() -> Response:
        told = plane.server_metadata()
        places = {
            "metadata": "/v2",
            "live": "/v2/health/live",
            "ready": "/v2/health/ready",
            "models": "/v2/models",
            "infer": "/v2/models/{model_name}/infer",
            "docs": "/v2/docs",
            "openapi": "/v2/docs/dataplane.json",
        }
        return json_response({"name": told.name, "version": told.version, **{k: root + v for k, v in places.items()}})

    async def docs() -> Response:
        return _page(f"{settings.server_name} API", root, "/v2/docs")

    async def dataplane() -> Response:
        return json_response(openapi_document(plane.server_metadata().version, root))

    async def asset(name: str) -> Response:
        if name not in _TYPES:
            raise HTTPException(404)
        return Response(_asset(name), headers={"content-type": _TYPES[name], "cache-control": "public, max-age=86400"})

    for path, endpoint in (
        ("/", start),
        ("/v2/docs", docs),
        ("/v2/docs/dataplane.json", dataplane),
        ("/v2/docs/assets/{name}", asset),
    ):
        app.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False)
    _add_model_docs(app, plane, root)


def _add_model_docs(app: FastAPI, plane: DataPlane, root: str) -> None:
    async def model_docs(model_name: str, model_version: str = "") -> Response:
        plane.model_metadata(model_name, model_version)
        own = (VERSION if model_version else MODEL).format(
            model_name=quote(model_name, safe=""), model_version=quote(model_version, safe="")
        )
        return _page(f"{model_name} API", root, f"{own}/docs")

    async def model_dataplane(model_name: str, model_version: str = "") -> Response:
        handlers = plane.handlers(model_name, model_version)
        version = plane.server_metadata().version
        return json_response(model_document(version, root, model_name, model_version, handlers))

    for path in (MODEL, VERSION):
        app.add_api_route(f"{path}/docs", model_docs, methods=["GET", "HEAD"], include_in_schema=False)
        app.add_api_route(
            f"{path}/docs/dataplane.json", model_dataplane, methods=["GET", "HEAD"], include_in_schema=False
        )
