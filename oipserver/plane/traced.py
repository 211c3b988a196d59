"""A data plane that tells every inference and handler call as a span; knows no tracing library."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

from ..errors import OIPError
from ..protocol import InferRequest, InferResponse, ServerMetadata
from ..registry import ModelRegistry
from ..runtime.handlers import HandlerRequest, HandlerResponse
from ..telemetry.tracing import RequestSpan, Tracing
from .data import DataPlane


class TracedDataPlane(DataPlane):
    """A DataPlane in front of another one over the same registry, which does the work.

    A server without ``tracing_server`` has none of these, and pays nothing for tracing.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        server: ServerMetadata,
        ready: Callable[[], bool],
        inner: DataPlane,
        tracing: Tracing,
    ) -> None:
        super().__init__(registry, server, ready)
        self._inner = inner
        self._tracing = tracing

    def begin(self, request: InferRequest) -> InferResponse | Awaitable[InferResponse]:
        span = self._start("infer", request)
        try:
            with span.current():
                answer = self._inner.begin(request)
        except BaseException as error:
            span.fail(error)
            raise
        if not isinstance(answer, InferResponse):
            return self._watched(span, answer)
        self._finish_span(span, answer)
        return answer

    async def _watched(self, span: RequestSpan, answer: Awaitable[InferResponse]) -> InferResponse:
        try:
            with span.current():
                response = await answer
        except BaseException as error:
            span.fail(error)
            raise
        self._finish_span(span, response)
        return response

    def infer_here(self, request: InferRequest) -> InferResponse | None:
        given = request.headers
        span = self._start("infer", request)
        try:
            with span.current():
                response = self._inner.infer_here(request)
        except BaseException as error:
            span.fail(error)
            raise
        if response is None:  # the event loop is asked next, under a span of its own
            request.headers = given
        else:
            self._finish_span(span, response)
        return response

    async def stream(self, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
        span = self._start("infer_stream", request)
        try:
            async with aclosing(self._inner.stream(request)) as responses:
                async for response in responses:
                    span.event("answer")
                    yield response
        except BaseException as error:
            span.fail(error)
            raise
        span.finish()

    async def call_handler(self, name: str, request: HandlerRequest, version: str = "") -> HandlerResponse:
        told = {"oipserver.model.name": name, "oipserver.model.version": version, "oipserver.handler": request.name}
        span = self._tracing.start("handler", request.headers, told)
        request = replace(request, headers=span.carried(request.headers))
        try:
            with span.current():
                response = await self._inner.call_handler(name, request, version)
        except BaseException as error:
            span.fail(error)
            raise
        span.finish()
        return response

    def _start(self, name: str, request: InferRequest) -> RequestSpan:
        told = {"oipserver.model.name": request.model_name, "oipserver.model.version": request.model_version}
        if request.id:
            told["oipserver.request.id"] = request.id
        span = self._tracing.start(name, request.headers, told)
        request.headers = span.carried(request.headers)
        return span

    def _finish_span(self, span: RequestSpan, response: InferResponse) -> None:
        try:
            servable = self._registry.find(response.model_name, response.model_version)
        except OIPError:  # it has left since it answered
            span.finish(response.timings)
        else:
            span.finish(response.timings, {"oipserver.executor": servable.executor.description})
