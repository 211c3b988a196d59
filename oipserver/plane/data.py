"""The data plane: inference, metadata and health as every wire offers them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from time import monotonic_ns
from typing import TYPE_CHECKING

from ..errors import UnsupportedError
from ..protocol import InferRequest, InferResponse, ModelMetadata, ServerMetadata
from ..registry import ModelRegistry, Servable
from ..runtime.handlers import HandlerRequest, HandlerResponse, HandlerRoute
from ..telemetry.statistics import reason_of
from .extensions.classification import classify
from .pending import PendingInference
from .pieces import Pieces

if TYPE_CHECKING:
    from .extensions.shared_memory import RegionPlane


class DataPlane:
    """What a client may ask of the models. Raises OIPError and nothing else."""

    def __init__(
        self,
        registry: ModelRegistry,
        server: ServerMetadata,
        ready: Callable[[], bool],
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._registry = registry
        self._server = server
        self._ready = ready
        self._clock = clock
        self._over_regions: RegionPlane | None = None

    # -- health and metadata -------------------------------------------------------------------------------------

    def live(self) -> bool:
        """Whether the server answers at all."""
        return True

    def ready(self) -> bool:
        """Whether everything that should be served can be."""
        return self._ready()

    def model_ready(self, name: str, version: str = "") -> bool:
        """Whether a model version would accept a request. Raises NotFoundError for an unknown one."""
        return self._registry.find(name, version).ready

    def server_metadata(self) -> ServerMetadata:
        """The server about itself."""
        return self._server

    def model_metadata(self, name: str, version: str = "") -> ModelMetadata:
        """A model version about itself, with all versions of its name. Raises NotFoundError."""
        return self._registry.find(name, version).face.metadata

    def streams(self, name: str, version: str = "") -> bool:
        """Whether a model version answers in pieces. Raises NotFoundError."""
        return self._registry.find(name, version).face.streams

    def model_versions(self, name: str) -> list[str]:
        """The loaded versions of a model that have a name, oldest first."""
        return [servable.version for servable in self._registry.versions(name) if servable.version]

    def model(self, name: str, version: str = "") -> Servable:
        """A loaded model version. Raises NotFoundError, or UnavailableError for one that is not loaded yet."""
        return self._registry.find(name, version)

    def models(self) -> list[Servable]:
        """Every loaded model version."""
        return list(self._registry)

    def intercept(self, layer: object | None) -> None:
        """Have ``layer`` asked for ``begin``, ``infer_here`` and ``stream`` in this plane's place; None ends that.

        For what comes and goes while the server runs: a plane that nobody stands before looks nowhere for it.
        """
        for name in ("begin", "infer_here", "stream"):
            vars(self).pop(name, None)
            if layer is not None:
                vars(self)[name] = getattr(layer, name)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have ``listener`` called, on the loop, after every change of what is loaded."""
        self._registry.listeners.append(listener)

    def on_readiness(self, listener: Callable[[], None]) -> None:
        """Have ``listener`` called, on the loop, whenever ``ready`` may say something else than before."""
        self._registry.readiness.listen(listener)

    # -- custom handlers -----------------------------------------------------------------------------------------

    def handlers(self, name: str, version: str = "") -> list[HandlerRoute]:
        """The custom handlers of a model version. Raises NotFoundError."""
        return handlers_of(self._registry.find(name, version))

    def default_handlers(self) -> dict[str, list[HandlerRoute]]:
        """The custom handlers of every model's default version, in order of the models' names."""
        names = sorted({servable.name for servable in self._registry})
        return {name: routes for name in names if (routes := self.handlers(name))}

    async def call_handler(self, name: str, request: HandlerRequest, version: str = "") -> HandlerResponse:
        """Call a custom handler of a model version; it is no inference, and not counted as one. Raises OIPError."""
        servable = self._registry.acquire(name, version)
        try:
            return await servable.executor.call_handler(request)
        finally:
            servable.release()

    # -- client shared memory ------------------------------------------------------------------------------------

    @property
    def over_regions(self) -> RegionPlane:
        """What wires ask, in this plane's place, for requests whose ``regions`` is not None. Raises UnsupportedError
        where the server has none."""
        if self._over_regions is None:
            raise UnsupportedError("this server offers no client shared memory")
        return self._over_regions

    def offer_regions(self, regions: RegionPlane) -> None:
        """Let ``regions``, a plane before this one, answer requests with tensors in client shared memory."""
        self._over_regions = regions

    # -- inference -----------------------------------------------------------------------------------------------

    def check(self, request: InferRequest) -> None:
        """Raise what ``infer`` would before any model is asked: OIPError."""
        self._registry.find(request.model_name, request.model_version).check(request)

    async def infer(self, request: InferRequest) -> InferResponse:
        """Answer one request. Raises OIPError."""
        answer = self.begin(request)
        return answer if isinstance(answer, InferResponse) else await answer

    def begin(self, request: InferRequest) -> InferResponse | Awaitable[InferResponse]:
        """Answer one request here and now where its model runs inline; else return what is to be awaited, at once, for
        its answer. On the loop. Raises OIPError."""
        received = self._clock()
        servable = self._registry.acquire(request.model_name, request.model_version)
        answer: InferResponse | Awaitable[InferResponse]
        try:
            servable.check(request)
            response = servable.scheduler.submit_now(request, received)
            if response is not None:
                answer = self._finish(servable, request, response)
            elif (posted := servable.scheduler.post(request, received)) is not None:
                return PendingInference(servable, request, posted, received, self._ended)
            else:
                answer = self._wait(servable, request, received)
        except BaseException as error:
            servable.statistics.record_failure(self._clock() - received, reason_of(error))
            servable.release()
            raise
        servable.release()
        return answer

    def _ended(
        self, servable: Servable, request: InferRequest, received: int, outcome: InferResponse | Exception
    ) -> InferResponse | Exception:
        """Complete and count what a posted request came to."""
        try:
            if isinstance(outcome, Exception):
                raise outcome
            return self._finish(servable, request, outcome)
        except Exception as error:
            servable.statistics.record_failure(self._clock() - received, reason_of(error))
            return error

    async def _wait(self, servable: Servable, request: InferRequest, received: int) -> InferResponse:
        """Answer a request that cannot be answered at once."""
        servable.acquire()  # a lease of its own: a coroutine that never starts gives none back
        try:
            return self._finish(servable, request, await servable.scheduler.submit(request, received))
        except BaseException as error:
            servable.statistics.record_failure(self._clock() - received, reason_of(error))
            raise
        finally:
            servable.release()

    def infer_here(self, request: InferRequest) -> InferResponse | None:
        """Answer one request in the calling thread; None where only the event loop can. Raises OIPError."""
        received = self._clock()
        servable = self._registry.acquire(request.model_name, request.model_version)
        try:
            servable.check(request)
            response = servable.scheduler.submit_here(request, received)
            return None if response is None else self._finish(servable, request, response)
        except BaseException as error:
            servable.statistics.record_failure(self._clock() - received, reason_of(error))
            raise
        finally:
            servable.release()

    async def stream(self, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
        """Answer one request in pieces. Raises OIPError, also after some pieces."""
        received = self._clock()
        servable = self._registry.acquire(request.model_name, request.model_version)
        pieces = Pieces(servable.statistics, received, self._clock)
        try:
            servable.check(request)
            async for response in servable.scheduler.stream(request, received):
                response.model_name, response.model_version, response.id = servable.name, servable.version, request.id
                if request.classes:
                    classify(response, request.classes, servable.face, servable.settings)
                pieces.came(response)
                yield response
                pieces.taken()
            pieces.ended()
        except BaseException as error:
            pieces.failed(error)
            raise
        finally:
            servable.release()

    def _finish(self, servable: Servable, request: InferRequest, response: InferResponse) -> InferResponse:
        """Complete and count an answer. Raises InvalidArgumentError where an output has no classes."""
        if request.classes:
            classify(response, request.classes, servable.face, servable.settings)
        response.model_name, response.model_version, response.id = servable.name, servable.version, request.id
        timings = response.timings
        assert timings is not None, "a scheduler stamps every response"
        timings.finished = self._clock()
        servable.statistics.record_success(timings)
        return response


def handlers_of(servable: Servable) -> list[HandlerRoute]:
    """The custom handlers that a loaded model version has."""
    return [HandlerRoute(**fields) for fields in servable.face.details.get("handlers", ())]
