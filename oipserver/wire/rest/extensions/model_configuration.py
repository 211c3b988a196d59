"""The model configuration extension as JSON."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.responses import Response

from ....plane import DataPlane
from ....plane.extensions.model_configuration import model_configuration
from ...names import check_model_name
from ..routes import MODEL, VERSION, json_response


def add_model_configuration_routes(app: FastAPI, plane: DataPlane) -> None:
    """The configuration of a model, and of one version of it."""

    async def config(model_name: str, model_version: str = "") -> Response:
        return json_response(model_configuration(plane, check_model_name(model_name), model_version))

    for path in (MODEL, VERSION):
        app.add_api_route(f"{path}/config", config, methods=["GET", "HEAD"], include_in_schema=False)
