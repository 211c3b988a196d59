"""The statistics extension as JSON: every member is there, whatever its value."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.responses import Response

from ....plane import DataPlane
from ....plane.extensions.statistics import ModelReport, model_statistics
from ....telemetry.statistics import Duration
from ...names import check_model_name
from ..routes import MODEL, VERSION, json_response


def add_statistics_routes(app: FastAPI, plane: DataPlane) -> None:
    """Statistics of all models, of one, and of one version."""

    async def every() -> Response:
        return _answer(model_statistics(plane))

    async def one(model_name: str, model_version: str = "") -> Response:
        return _answer(model_statistics(plane, check_model_name(model_name), model_version))

    app.add_api_route("/v2/models/stats", every, methods=["GET"], include_in_schema=False)
    for path in (MODEL, VERSION):
        app.add_api_route(f"{path}/stats", one, methods=["GET"], include_in_schema=False)


def _answer(reports: list[ModelReport]) -> Response:
    return json_response({"model_stats": [_report(report) for report in reports]})


_REQUESTS = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")
_RESPONSES = ("compute_infer", "compute_output", "success", "fail", "empty_response", "cancel")
_BATCHES = ("compute_input", "compute_infer", "compute_output")


def _report(report: ModelReport) -> dict[str, Any]:
    totals = report.totals
    return {
        "name": report.name,
        "version": report.version,
        "last_inference": totals.last_inference_ms,
        "inference_count": totals.inference_count,
        "execution_count": totals.execution_count,
        "inference_stats": _durations(totals, _REQUESTS),
        "response_stats": {
            str(number): _durations(response, _RESPONSES) for number, response in sorted(totals.responses.items())
        },
        "batch_stats": [
            {"batch_size": size, **_durations(batch, _BATCHES)} for size, batch in sorted(totals.batches.items())
        ],
        "memory_usage": [],
    }


def _durations(told: object, names: tuple[str, ...]) -> dict[str, dict[str, int]]:
    return {name: _duration(getattr(told, name)) for name in names}


def _duration(duration: Duration) -> dict[str, int]:
    return {"count": duration.count, "ns": max(0, duration.ns)}
