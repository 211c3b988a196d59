"""Chooses the executor for a model's settings; the only place that knows all of them."""

from __future__ import annotations

from ..executor import Executor, InProcessExecutor
from ..executor.ensemble import EnsembleExecutor
from ..executor.pool import PoolManager
from ..executor.pool.declared import has_environment, keeps_sequences
from ..peers import Caller
from ..runtime import placement_of
from ..settings import ModelSettings, Settings
from .members import RegistryMembers
from .servable import Servable


class ServableBuilder:
    """Builds servables as the server's settings say."""

    def __init__(self, settings: Settings, pools: PoolManager, caller: Caller | None = None) -> None:
        """``caller`` passes on what models in this process ask of other models."""
        self._settings = settings
        self._pools = pools
        self._caller = caller
        #: Where ensembles find the models they are made of; to be connected with the registry.
        self.members = RegistryMembers()

    def build(self, settings: ModelSettings) -> Servable:
        """A servable for ``settings``, not loaded yet. Raises OIPError."""
        return Servable(settings, self._executor(settings), self._settings)

    def _executor(self, settings: ModelSettings) -> Executor:
        configuration = settings.configuration or {}
        if "ensemble_scheduling" in configuration:
            return EnsembleExecutor(settings, self.members)
        if self._in_process(settings):
            return InProcessExecutor(settings, self._caller)
        if keeps_sequences(configuration):
            settings = settings.model_copy(update={"parallel_workers": 1})
        return self._pools.executor(settings, apart=placement_of(settings) == "own-pool")

    def _in_process(self, settings: ModelSettings) -> bool:
        """What must be apart first, then the model's word, the server's, and what its runtime is made for."""
        parameters = settings.parameters
        if has_environment(settings):
            return False
        if settings.parallel_workers is not None:
            return settings.parallel_workers == 0
        if parameters.inference_pool_gid or parameters.autogenerate_inference_pool_gid:
            return False
        return self._settings.parallel_workers == 0 or placement_of(settings) == "in-process"
