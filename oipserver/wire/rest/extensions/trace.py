"""The trace extension as JSON."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from ....errors import InvalidArgumentError
from ....plane.extensions.trace import TraceControl, Values
from ....protocol.members import accessed
from ....settings import Settings
from ...names import check_model_name
from ..routes import MODEL, json_response, read_document


def add_trace_routes(app: FastAPI, control: TraceControl, settings: Settings) -> None:
    """What is traced, of all models and of one, told and changed."""

    async def tell(model_name: str = "") -> Response:
        return _answer(control.told(_checked(model_name)))

    async def change(request: Request, model_name: str = "") -> Response:
        document = await read_document(request, settings.http_max_body_bytes)
        changes = {name: _values(name, value) for name, value in document.items()}
        return _answer(control.update(changes, _checked(model_name)))

    for path in ("/v2/trace/setting", f"{MODEL}/trace/setting"):
        app.add_api_route(path, tell, methods=["GET"], include_in_schema=False)
        app.add_api_route(path, change, methods=["POST"], include_in_schema=False)


def _checked(model: str) -> str:
    return check_model_name(model) if model else ""


def _values(name: str, value: Any) -> Values:
    """Raises InvalidArgumentError for a value of a kind that no setting has."""
    if value is None:
        return None
    if name == "trace_level":
        if not isinstance(value, list):
            raise accessed(name, "array", value)
        for level in value:
            if not isinstance(level, str):
                raise accessed(name, "string", level)
        if not value:
            raise InvalidArgumentError("'trace_level' is empty: expected OFF, TIMESTAMPS or TENSORS; null clears it")
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return [str(value)]
    if not isinstance(value, str):
        raise accessed(name, "string", value)
    return [value]


def _answer(told: dict[str, list[str]]) -> Response:
    return json_response({name: values if name == "trace_level" else values[0] for name, values in told.items()})
