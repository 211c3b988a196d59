"""The metrics page: one registry of this server's own, everything on it declared once; knows no wire."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Info
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from .. import __version__
from .cache_metrics import Cache, CacheMetrics
from .custom import set_sink
from .custom_metrics import CustomMetrics
from .model_metrics import ModelMetrics, ServedModel
from .pool_metrics import PoolMetrics, WorkerPool
from .server_metrics import GrpcMetrics, RestMetrics
from .triton_metrics import TritonMetrics

if TYPE_CHECKING:
    from ..settings import Settings

_PROBES = frozenset({"/v2/health/live", "/v2/health/ready"})


class Metrics:
    """All metrics of one server. ``models`` is iterated at every look, and yields the versions that are loaded.

    From its making on, what models record in this process comes here.
    """

    def __init__(self, settings: Settings, models: Iterable[ServedModel]) -> None:
        registry = CollectorRegistry(auto_describe=False)
        silent = _PROBES | {settings.metrics_endpoint or ""}
        #: What the REST and the gRPC server tell.
        self.rest = RestMetrics(settings.metrics_rest_server_prefix, settings.server_name, silent)
        self.grpc = GrpcMetrics()
        #: What models' own code records; events of workers go to its ``record``.
        self.custom = CustomMetrics(registry)
        for collector in (ModelMetrics(models), self.rest, self.grpc):
            registry.register(collector)
        if settings.triton_metrics:
            registry.register(TritonMetrics(models))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        about = Info("oipserver", "This server.", registry=registry)
        about.info({"version": __version__, "python": platform.python_version()})
        self._registry = registry
        set_sink(self.custom.record)

    def add_cache(self, cache: Cache) -> None:
        """Tell of ``cache`` too."""
        self._registry.register(CacheMetrics(cache))

    def add_pools(self, pools: Callable[[], Iterable[WorkerPool]]) -> None:
        """Tell of worker pools too: those that ``pools`` gives at every look."""
        self._registry.register(PoolMetrics(pools))

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """Body and content type of the page, in the format that the ``accept`` header prefers."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
