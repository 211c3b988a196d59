"""The web application: every route but the quick way of inference, and how their errors look."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from ...errors import OIPError
from ...plane import ControlPlane, DataPlane, TraceControl
from ...settings import Settings
from .asgi_door import AsgiInfer, RawRoute
from .boundary import Boundary
from .choose import infer_handler
from .compression import MIN_SIZE
from .custom import add_custom_handlers
from .docs import add_docs
from .errors import error_reply, message_reply
from .extensions.generate import add_generate_routes
from .extensions.logging import add_logging_routes
from .extensions.mlflow import Invocations, add_mlflow_routes
from .extensions.model_configuration import add_model_configuration_routes
from .extensions.model_repository import add_model_repository_routes
from .extensions.shared_memory import add_shared_memory_routes
from .extensions.statistics import add_statistics_routes
from .extensions.trace import add_trace_routes
from .gzip_layer import GzipLayer
from .handler import InferHandler
from .observer import RequestObserver
from .reply import Reply
from .restricted import RestrictedLayer, restrictions
from .routes import MODEL, VERSION, add_data_routes
from .stream import AsgiInferStream

MetricsPage = Callable[[], tuple[bytes, str]]


def create_app(
    data_plane: DataPlane,
    control_plane: ControlPlane,
    settings: Settings,
    *,
    handler: InferHandler | None = None,
    invocations: Invocations | None = None,
    observer: RequestObserver | None = None,
    metrics_page: MetricsPage | None = None,
    trace: TraceControl | None = None,
) -> FastAPI:
    """The application, which any ASGI server can run; inference works through it too.

    ``metrics_page`` returns the metrics' text and its content type, and is served at ``settings.metrics_endpoint``.
    """
    app = FastAPI(
        title=settings.server_name,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # The server has metrics and spans of its own. Releases of FastAPI without any ignore this.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    handler = handler or infer_handler(data_plane, settings)
    _add_inference(app, data_plane, handler, settings)
    add_generate_routes(app, data_plane, handler, settings)
    if settings.mlflow_routes:
        invocations = invocations or Invocations(data_plane, handler, settings)
        add_mlflow_routes(app, data_plane, invocations, settings)
    add_model_configuration_routes(app, data_plane)
    add_statistics_routes(app, data_plane)
    add_shared_memory_routes(app, data_plane, settings)
    add_logging_routes(app, settings)
    if trace is not None:
        add_trace_routes(app, trace, settings)
    add_data_routes(app, data_plane)
    add_model_repository_routes(app, control_plane, settings)
    add_docs(app, data_plane, settings)
    if metrics_page is not None and settings.metrics_endpoint:
        _add_metrics(app, settings.metrics_endpoint, metrics_page)
    add_custom_handlers(app, data_plane, settings)
    _add_error_handlers(app)
    _add_layers(app, settings, observer)
    return app


def _add_inference(app: FastAPI, data_plane: DataPlane, handler: InferHandler, settings: Settings) -> None:
    infer = AsgiInfer(handler, settings.http_max_body_bytes)
    stream = AsgiInferStream(data_plane, handler, settings)
    for path in (MODEL, VERSION):
        app.router.routes.append(RawRoute(f"{path}/infer", infer))
        app.router.routes.append(RawRoute(f"{path}/infer_stream", stream))


def _add_metrics(app: FastAPI, path: str, metrics_page: MetricsPage) -> None:
    async def metrics() -> Response:
        content, content_type = metrics_page()
        return Response(content, headers={"content-type": content_type})

    app.add_api_route(path, metrics, methods=["GET", "HEAD"], include_in_schema=False)


def _add_layers(app: FastAPI, settings: Settings, observer: RequestObserver | None) -> None:
    """The last one added is the outermost."""
    if settings.gzip_enabled:
        app.add_middleware(GzipLayer, minimum_size=MIN_SIZE, compresslevel=1)
    if settings.cors_settings is not None:
        app.add_middleware(CORSMiddleware, **settings.cors_settings.model_dump())
    if needed := restrictions(settings):
        app.add_middleware(RestrictedLayer, needed=needed)
    app.add_middleware(Boundary, observer=observer, root_path=settings.root_path.rstrip("/"))


def _add_error_handlers(app: FastAPI) -> None:
    """Every error is ``{"error": ...}``, whoever found it."""

    @app.exception_handler(OIPError)
    async def known(_: Request, error: OIPError) -> Response:
        return as_response(error_reply(error))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        response = as_response(message_reply(error.status_code, str(error.detail)))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        problems = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        return as_response(message_reply(400, "; ".join(problems)))


def as_response(reply: Reply) -> Response:
    """``reply`` in the framework's own class."""
    response = Response(b"".join(reply.buffers), reply.status)
    response.raw_headers.extend(reply.headers)
    return response
