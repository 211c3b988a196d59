"""OnnxModel: an ONNX graph as a model of the server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from oipserver import MLModel, ModelSettings, Tensor
from oipserver.errors import InvalidArgumentError
from oipserver.types import MetadataModelResponse, MetadataTensor

from .execution import BoundExecution, Execution, SpreadExecution, execution_for
from .failures import run_failure
from .graph import GraphTensor
from .session import LoadedGraph, load_graph

if TYPE_CHECKING:
    from oipserver.settings.model import TensorSettings

_log = logging.getLogger(__name__)

PLATFORM = "onnxruntime_onnx"
_ALIAS = "predict"


class OnnxModel(MLModel):
    """Serves the ``.onnx`` file of ``parameters.uri``; ``OnnxOptions`` says what ``parameters.extra`` may hold.

    ``instances`` executions may run at once, ``execution_provider`` is the one onnxruntime truly gave.
    """

    # onnxruntime releases the interpreter lock while it computes
    placement: ClassVar[Literal["in-process", "pool"]] = "in-process"
    fills_targets = True

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        self.instances = 1
        self.execution_provider = ""
        self._loaded: LoadedGraph | None = None
        self._execution: Execution | None = None
        self._into: BoundExecution | None = None  # where a target can be filled
        self._datatypes: dict[str, str] = {}
        self._graph_names: dict[str, str] = {}
        self._default: tuple[str, ...] = ()

    async def load(self) -> bool:
        """Open the model in a thread of its own: the server stays alive meanwhile. Raises ModelLoadError."""
        loaded = await asyncio.to_thread(load_graph, self.settings)
        self.instances = loaded.instances
        self.execution_provider = loaded.provider
        self.inputs = _described(loaded.graph.inputs, self.settings.inputs, self.name)
        self.outputs = _described(loaded.graph.outputs, self.settings.outputs, self.name)
        self._name_outputs(loaded.graph.outputs)
        executions = [
            execution_for(session, loaded.graph, loaded.provider, loaded.run_options) for session in loaded.sessions
        ]
        self._execution = executions[0] if len(executions) == 1 else SpreadExecution(executions)
        if len(executions) == 1 and "BYTES" not in loaded.graph.datatypes:  # binding takes no text
            self._into = BoundExecution(loaded.sessions[0], loaded.graph, loaded.run_options)
        self._loaded = loaded
        _log.info(
            "model '%s' runs on %s with %d intra-op thread(s) and %d instance(s)",
            self.name,
            loaded.provider,
            loaded.threads,
            loaded.instances,
        )
        return True

    def _name_outputs(self, outputs: Sequence[GraphTensor]) -> None:
        """Which names may be asked for, and what is given when none is.

        A configuration in Triton's form says which of the graph's they are. Without one ``predict`` stands for the
        first output where the graph has none of that name: clients of MLServer's ONNX runtime ask for it, and get it
        when they ask for nothing.
        """
        self._datatypes = {tensor.name: tensor.datatype for tensor in outputs}
        self._graph_names = {tensor.name: tensor.name for tensor in outputs}
        self._default = tuple(self._graph_names)
        if self.settings.configuration is not None:
            if served := _configured_outputs(self.settings.configuration):
                self._default = tuple(name for name in served if name in self._graph_names)
                self._graph_names = {name: name for name in self._default}
        elif outputs and _ALIAS not in self._graph_names:
            self._graph_names[_ALIAS] = outputs[0].name
            if self.settings.implementation.startswith("mlserver_onnx."):
                self._default = (_ALIAS,)

    async def unload(self) -> bool:
        """Let the session go, its memory and its threads."""
        self._execution = self._loaded = self._into = None
        return True

    async def metadata(self) -> MetadataModelResponse:
        """What the graph takes and gives."""
        return MetadataModelResponse(
            name=self.name,
            platform=self.settings.platform or PLATFORM,
            versions=self.settings.versions,
            inputs=self.inputs,
            outputs=self.outputs,
        )

    def infer_tensors(
        self,
        inputs: Sequence[Tensor],
        outputs: Sequence[str],
        parameters: Mapping[str, Any],
        targets: Mapping[str, memoryview] | None = None,
    ) -> list[Tensor]:
        """Compute ``outputs`` (all of them where empty), into ``targets`` where it can be. Thread-safe.

        Raises InvalidArgumentError for what the caller did wrong, InternalError for what the model or machine did.
        """
        execution, loaded = self._execution, self._loaded
        assert execution is not None and loaded is not None, "load() comes first"  # noqa: PT018
        names, datatypes = self._graph_names, self._datatypes
        wanted = outputs or self._default
        try:
            asked = [names[name] for name in wanted]
        except KeyError as error:
            raise InvalidArgumentError(
                f"unexpected inference output '{error.args[0]}' for model '{self.name}', expected {list(names)}"
            ) from None
        try:
            if targets and self._into is not None:
                arrays = self._into(asked, inputs, {names[name]: target for name, target in targets.items()})
            else:
                arrays = execution(asked, inputs)
        except Exception as error:
            raise run_failure(error, self.name, inputs, loaded.graph) from error
        return [
            Tensor(name, datatypes[graph_name], array.shape, array)
            for name, graph_name, array in zip(wanted, asked, arrays, strict=True)
        ]


def _described(tensors: Sequence[GraphTensor], declared: Sequence[TensorSettings], model: str) -> list[MetadataTensor]:
    """Metadata of the graph's tensors, with the parameters and narrower shapes that the settings declare for them."""
    by_name = {tensor.name: tensor for tensor in declared}
    described = []
    for tensor in tensors:
        told: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        settings = by_name.pop(tensor.name, None)
        if settings is not None:
            if settings.parameters:
                told["parameters"] = settings.parameters
            if settings.datatype == tensor.datatype and _narrows(settings.shape, tensor.shape):
                told["shape"] = settings.shape
            else:
                _log.warning(
                    "model '%s': the settings declare '%s' as %s %s, the graph has %s %s, which counts",
                    *(model, tensor.name, settings.datatype, settings.shape, tensor.datatype, list(tensor.shape)),
                )
        described.append(MetadataTensor(**told))
    for name in by_name:
        _log.warning("model '%s': the settings declare '%s', which the graph does not have", model, name)
    return described


def _configured_outputs(configuration: Mapping[str, Any]) -> list[str]:
    """The outputs that are served, and the states of sequences, which the server keeps; none where any may be."""
    outputs = [output["name"] for output in configuration.get("output", ())]
    states = configuration.get("sequence_batching", {}).get("state", ())
    return [*outputs, *(state["output_name"] for state in states)] if outputs else []


def _narrows(declared: Sequence[int], graph: Sequence[int]) -> bool:
    """Whether ``declared`` fits the graph's shape; one without dimensions may be of unknown rank and takes any."""
    if not graph:
        return True
    return len(declared) == len(graph) and all(axis in (-1, dim) for dim, axis in zip(declared, graph, strict=True))
