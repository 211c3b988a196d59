"""Spans of requests, sent to an OpenTelemetry collector; knows no wire and no model. OpenTelemetry is imported late.

Most spans are made of instants that are taken anyway, once the answer is there: a worker need not know of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from threading import Thread
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING

from ..errors import InvalidArgumentError, OIPError
from ..protocol import Timings

if TYPE_CHECKING:
    from opentelemetry.trace import Span

Attributes = Mapping[str, str | int]

_EXPORT_SECONDS = 5.0  # a collector that takes longer loses the spans; requests never wait for it
_CLOSE_SECONDS = 3.0
_STAGES = (("queue", "received", "dispatched"), ("prepare", "dispatched", "infer_start"),
           ("execute", "infer_start", "infer_end"), ("respond", "infer_end", "finished"))  # fmt: skip


class RequestSpan:
    """The span of one request, from its start to ``finish`` or ``fail``; one that gets neither is never sent."""

    __slots__ = ("_offset", "_span", "_tracing")

    def __init__(self, tracing: Tracing, span: Span, offset: int) -> None:
        self._tracing = tracing
        self._span = span
        self._offset = offset

    def current(self) -> AbstractContextManager[object]:
        """While it is open, spans that other code makes in this thread or task are below this one."""
        return self._tracing.use(self._span)

    def carried(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        """``headers`` naming this span as the parent of what is done with them, wherever that runs."""
        return self._tracing.carry(self._span, headers)

    def event(self, name: str) -> None:
        """Note that something happened now."""
        self._span.add_event(name)

    def finish(self, timings: Timings | None = None, attributes: Attributes | None = None) -> None:
        """The request is answered; ``timings`` become the stages below its span, ``execute`` with ``attributes``."""
        if timings is not None and self._span.is_recording():
            for name, start, end in _STAGES:
                times = getattr(timings, start), getattr(timings, end)
                if 0 < times[0] < times[1]:
                    told = attributes if name == "execute" else None
                    self._tracing.stage(self._span, name, times[0] + self._offset, times[1] + self._offset, told)
        self._span.end()

    def fail(self, error: BaseException) -> None:
        """The request has failed, or was given up."""
        code = error.code.value if isinstance(error, OIPError) else type(error).__name__
        self._span.set_attribute("error.type", code)
        if isinstance(error, Exception):  # else the client left, which is nobody's failure
            self._tracing.mark_failed(self._span, error.message if isinstance(error, OIPError) else code)
        self._span.end()


class Tracing:
    """Sends spans to the collector at ``endpoint`` (OTLP over gRPC; ``host:port`` or a URL, https for TLS).

    Raises InvalidArgumentError where OpenTelemetry is not installed.
    """

    def __init__(self, endpoint: str, service: str, version: str) -> None:
        try:
            from opentelemetry import propagate, trace
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise InvalidArgumentError(
                f"tracing_server needs OpenTelemetry ({error}): pip install 'oipserver[otel]'"
            ) from None
        self._trace, self._propagate = trace, propagate
        secure = endpoint.startswith("https://")
        self._exporter = OTLPSpanExporter(endpoint=endpoint, insecure=not secure, timeout=_EXPORT_SECONDS)
        resource = Resource.create({"service.name": service, "service.version": version})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            trace.set_tracer_provider(self._provider)  # spans of models' own code go the same way
        self._tracer = self._provider.get_tracer("oipserver", version)

    def start(self, name: str, headers: Mapping[str, str] | None, attributes: Attributes) -> RequestSpan:
        """The span of a request that begins now, below the caller's where its ``headers`` name one."""
        context = self._propagate.extract(headers) if headers else None
        now, offset = monotonic_ns(), time_ns() - monotonic_ns()
        kind = self._trace.SpanKind.SERVER
        span = self._tracer.start_span(name, context, kind, attributes, start_time=now + offset)
        return RequestSpan(self, span, offset)

    def use(self, span: Span) -> AbstractContextManager[object]:
        """Make ``span`` the current one of this thread or task."""
        return self._trace.use_span(span, record_exception=False, set_status_on_exception=False)

    def carry(self, span: Span, headers: Mapping[str, str] | None) -> dict[str, str]:
        """``headers`` with what makes ``span`` the parent of whoever reads them."""
        carrier = dict(headers or {})
        self._propagate.inject(carrier, self._trace.set_span_in_context(span))
        return carrier

    def stage(self, parent: Span, name: str, start: int, end: int, attributes: Attributes | None) -> None:
        """A span below ``parent`` from ``start`` to ``end`` (nanoseconds since 1970)."""
        context = self._trace.set_span_in_context(parent)
        self._tracer.start_span(name, context, attributes=attributes, start_time=start).end(end)

    def mark_failed(self, span: Span, message: str) -> None:
        """Say that what ``span`` is about went wrong."""
        span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, message))

    def close(self) -> None:
        """Send what is left, for a few seconds at most. Blocks."""
        sending = Thread(target=self._provider.shutdown, name="tracing-close", daemon=True)
        sending.start()
        sending.join(_CLOSE_SECONDS)
        if sending.is_alive():
            self._exporter.shutdown()
