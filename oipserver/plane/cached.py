"""A data plane that looks for an answer before it asks a model for one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic_ns

from ..protocol import InferRequest, InferResponse, ServerMetadata, Timings
from ..registry import ModelRegistry, Servable
from .cache import CachedAnswer, Key, ResponseCache
from .data import DataPlane


class CachedDataPlane(DataPlane):
    """A DataPlane whose models with ``cache_enabled`` answer a repeated request from ``cache``.

    Where no cache is wanted the server has a plain DataPlane, and pays nothing for this. Streams are never kept, nor
    are answers of models that keep state between requests.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        server: ServerMetadata,
        ready: Callable[[], bool],
        cache: ResponseCache,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        super().__init__(registry, server, ready, clock)
        self._cache = cache
        registry.listeners.append(self._forget)

    def _forget(self) -> None:
        """Something came or went: let go of answers that nobody can ask for any more."""
        self._cache.keep(list(self._registry))

    def begin(self, request: InferRequest) -> InferResponse | Awaitable[InferResponse]:
        received = self._clock()
        servable, key = self._look(request)
        if key is None:
            return super().begin(request)
        if found := self._cache.get(key):
            return self._again(servable, request, found, received)
        self._cache.count(servable, hit=False)
        looked = self._clock() - received
        answer = super().begin(request)
        if not isinstance(answer, InferResponse):
            return self._kept(servable, key, answer, looked)
        self._keep(servable, key, answer, looked)
        return answer

    async def _kept(self, servable: Servable, key: Key, answer: Awaitable[InferResponse], looked: int) -> InferResponse:
        response = await answer
        self._keep(servable, key, response, looked)
        return response

    def _keep(self, servable: Servable, key: Key, response: InferResponse, looked: int) -> None:
        """Keep the answer to a request that was looked for in vain, which took ``looked`` nanoseconds."""
        began = self._clock()
        self._cache.put(key, response)
        servable.statistics.record_miss(looked + self._clock() - began)

    def infer_here(self, request: InferRequest) -> InferResponse | None:
        received = self._clock()
        servable, key = self._look(request)
        if key is None:
            return super().infer_here(request)
        if found := self._cache.get(key):
            return self._again(servable, request, found, received)
        looked = self._clock() - received
        response = super().infer_here(request)
        if response is not None:  # else the event loop will be asked, which looks again and counts
            self._cache.count(servable, hit=False)
            self._keep(servable, key, response, looked)
        return response

    def _look(self, request: InferRequest) -> tuple[Servable, Key | None]:
        """Who is asked, and what its answer would be found by; None where it is not kept."""
        servable = self._registry.find(request.model_name, request.model_version)
        settings = servable.settings
        wanted = settings.cache_enabled and not settings.stateful
        return servable, self._cache.key(servable, request) if wanted else None

    def _again(self, servable: Servable, request: InferRequest, found: CachedAnswer, received: int) -> InferResponse:
        servable.acquire()  # a model that is not READY does not answer, known answers or not
        try:
            self._cache.count(servable, hit=True)
            finished = self._clock()
            servable.statistics.record_hit(received, finished)
            return InferResponse(
                servable.name,
                list(found.outputs),
                servable.version,
                request.id,
                dict(found.parameters) if found.parameters else None,
                found.headers,
                Timings(received, received, finished, finished, finished),
            )
        finally:
            servable.release()
