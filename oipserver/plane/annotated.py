"""A data plane that gives requests an id and CloudEvents headers, in MLServer's way; off unless asked: both cost."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from uuid import uuid4

from ..protocol import InferRequest, InferResponse, ServerMetadata
from ..registry import ModelRegistry
from ..runtime.handlers import HandlerRequest, HandlerResponse
from .data import DataPlane

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_TYPE = "io.seldon.serving.inference."


class CloudEvents:
    """The CloudEvents headers of a server called ``server_name``, in the Kubernetes namespace it runs in, if any."""

    def __init__(self, server_name: str, namespace_file: Path = _NAMESPACE_FILE) -> None:
        try:
            namespace = namespace_file.read_text().strip()
        except OSError:
            namespace = ""
        source = f"io.seldon.serving.deployment.{server_name}"
        self._common = {"Ce-Specversion": "0.3", "Ce-Source": f"{source}.{namespace}" if namespace else source}
        self._rest = {"Ce-Inferenceservicename": server_name} | ({"Ce-Namespace": namespace} if namespace else {})

    def of(self, kind: str, model: str, id_: str) -> dict[str, str]:
        """Headers of a ``request`` or ``response`` of ``model``; the id's are left out where it is ""."""
        headers = {**self._common, "Ce-Type": _TYPE + kind, "Ce-Modelid": model, "Ce-Endpoint": model, **self._rest}
        return {**headers, "Ce-Id": id_, "Ce-Requestid": id_} if id_ else headers


class AnnotatedDataPlane(DataPlane):
    """A DataPlane in front of another one over the same registry, which does the work."""

    def __init__(
        self,
        registry: ModelRegistry,
        server: ServerMetadata,
        ready: Callable[[], bool],
        inner: DataPlane,
        *,
        generate_ids: bool,
        events: CloudEvents | None,
    ) -> None:
        super().__init__(registry, server, ready)
        self._inner = inner
        self._generate_ids = generate_ids
        self._events = events

    def begin(self, request: InferRequest) -> InferResponse | Awaitable[InferResponse]:
        answer = self._inner.begin(self._annotate(request))
        return self._answered(answer) if isinstance(answer, InferResponse) else self._awaited(answer)

    async def _awaited(self, answer: Awaitable[InferResponse]) -> InferResponse:
        return self._answered(await answer)

    def infer_here(self, request: InferRequest) -> InferResponse | None:
        response = self._inner.infer_here(self._annotate(request))
        return None if response is None else self._answered(response)

    async def stream(self, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
        async with aclosing(self._inner.stream(self._annotate(request))) as responses:
            async for response in responses:
                yield self._answered(response)

    async def call_handler(self, name: str, request: HandlerRequest, version: str = "") -> HandlerResponse:
        return await self._inner.call_handler(name, request, version)

    def _annotate(self, request: InferRequest) -> InferRequest:
        if self._generate_ids and not request.id:
            request.id = str(uuid4())
        if self._events is not None:
            request.headers = {
                **(request.headers or {}),
                **self._events.of("request", request.model_name, request.id),
            }
        return request

    def _answered(self, response: InferResponse) -> InferResponse:
        if self._events is not None:
            told = self._events.of("response", response.model_name, response.id)
            response.headers = {**(response.headers or {}), **told}
        return response
