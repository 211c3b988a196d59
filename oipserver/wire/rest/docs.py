"""The pages for people: where things are, and the interactive documentation with all of its own files."""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ...plane import DataPlane
from ...settings import Settings
from .routes import json_response

_ASSETS = Path(__file__).parent / "assets"
_TYPES = {"swagger-ui-bundle.js": "text/javascript; charset=utf-8", "swagger-ui.css": "text/css; charset=utf-8"}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{base}/assets/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="{base}/assets/swagger-ui-bundle.js"></script>
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


def add_docs(app: FastAPI, plane: DataPlane, settings: Settings) -> None:
    """Add ``/``, ``/v2/docs`` and what belongs to it."""
    root = settings.root_path.rstrip("/")
    page = _PAGE.format(title=escape(f"{settings.server_name} API"), base=escape(f"{root}/v2/docs"))

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
        return Response(page, media_type="text/html")

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
