"""The logging extension as JSON."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from ....plane.extensions.logging import SWITCHES, told_log_settings, update_log_settings
from ....protocol.members import accessed
from ....settings import Settings
from ..routes import json_response, read_document


def add_logging_routes(app: FastAPI, settings: Settings) -> None:
    """What is logged, told and changed."""

    async def tell() -> Response:
        return json_response(told_log_settings())

    async def change(request: Request) -> Response:
        changes = await read_document(request, settings.http_max_body_bytes)
        for name, value in changes.items():
            _check(name, value)
        return json_response(update_log_settings(changes))

    app.add_api_route("/v2/logging", tell, methods=["GET"], include_in_schema=False)
    app.add_api_route("/v2/logging", change, methods=["POST"], include_in_schema=False)


def _check(name: str, value: Any) -> None:
    """Raises InvalidArgumentError for a value of the wrong type; None is no value."""
    if value is None:
        return
    if name in SWITCHES and not isinstance(value, bool):
        raise accessed(name, "boolean", value)
    if name == "log_verbose_level" and (isinstance(value, bool) or not isinstance(value, int)):
        raise accessed(name, "unsigned-integer", value)
    if name == "log_format" and not isinstance(value, str):
        raise accessed(name, "string", value)
