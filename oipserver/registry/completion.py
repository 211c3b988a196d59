"""What a loaded model turns out to be, by its configuration: completed, compared with the model, told to callers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..configuration import (
    Configuration,
    check_by_graph,
    check_configuration,
    complete_by_graph,
    is_scalar,
    named,
    normalized,
    protocol_name,
    read_json,
    read_labels,
    scheduling_settings,
)
from ..errors import InvalidArgumentError, ModelLoadError
from ..executor.reshaping import Reshape
from ..protocol import ModelMetadata, TensorMetadata
from ..runtime import ModelFace
from ..settings import ModelSettings, Settings

_log = logging.getLogger(__name__)

# The backend whose models tell exactly what they take and give.
_KNOWS_ITS_GRAPH = "onnxruntime"

_GPU_PROVIDERS = ("CUDA", "Tensorrt", "cuda", "ROCM", "MIGraphX")


@dataclass(frozen=True, slots=True)
class Completion:
    """Settings and face of a loaded model as they count from now on.

    ``max_batch_size`` bounds the rows of a request, 0 where nothing does; ``inputs`` and ``outputs`` are the tensors
    that the model sees in other shapes than its callers.
    """

    settings: ModelSettings
    face: ModelFace
    max_batch_size: int = 0
    inputs: Mapping[str, Reshape] = field(default_factory=dict)
    outputs: Mapping[str, Reshape] = field(default_factory=dict)


def complete(settings: ModelSettings, face: ModelFace, server: Settings) -> Completion:
    """Complete the configuration of a model just loaded; one without any stays what its runtime told.

    A model may tell a configuration of its own, in ``face.details["configuration"]``, which counts then. Raises
    ModelLoadError where the configuration breaks a rule or is another model's.
    """
    given = face.details.get("configuration") or settings.configuration
    if given is None:
        return Completion(settings, face)
    try:
        return _complete(named(settings, read_json(given, _log.debug)), settings, face, server)
    except InvalidArgumentError as error:
        name = settings.name
        message = error.message if f"'{name}'" in error.message else f"model '{name}': {error.message}"
        raise ModelLoadError(message) from error


def _complete(configuration: Configuration, settings: ModelSettings, face: ModelFace, server: Settings) -> Completion:
    told = face.metadata
    automatic = not (server.disable_auto_complete_config or server.strict_model_config)
    knows_graph = configuration["backend"] == _KNOWS_ITS_GRAPH
    if automatic and (knows_graph or _can_tell(configuration, told)):
        size = server.default_max_batch_size if knows_graph else 0
        complete_by_graph(configuration, told.inputs, told.outputs, size)
    configuration = _with_instances(normalized(configuration), settings, face)
    check_configuration(configuration)
    inputs: dict[str, Reshape] = {}
    outputs: dict[str, Reshape] = {}
    if knows_graph:
        check_by_graph(configuration, told.inputs, told.outputs)
        inputs = _scalars(configuration, "input", told.inputs)
        outputs = _scalars(configuration, "output", told.outputs)
    return Completion(
        settings.model_copy(update={"configuration": configuration, **scheduling_settings(configuration)}),
        _face(configuration, settings, face),
        configuration["max_batch_size"],
        inputs | _reshapes(configuration, "input"),
        outputs | _reshapes(configuration, "output"),
    )


def _can_tell(configuration: Configuration, told: ModelMetadata) -> bool:
    """Whether what a model that knows no graph tells of itself agrees with the batch size it is configured with."""
    tensors = (*told.inputs, *told.outputs)
    return bool(tensors) and (
        not configuration["max_batch_size"] or all(tensor.shape[:1] == (-1,) for tensor in tensors)
    )


def _face(configuration: Configuration, settings: ModelSettings, face: ModelFace) -> ModelFace:
    """The face as clients are told it: the tensors of the configuration."""
    metadata = ModelMetadata(
        name=settings.name,
        platform=configuration["platform"] or configuration["backend"] or face.metadata.platform,
        inputs=_metadata(configuration, "input") or face.metadata.inputs,
        outputs=_metadata(configuration, "output") or face.metadata.outputs,
        parameters=face.metadata.parameters,
    )
    labels = read_labels(configuration, settings.folder)
    details = {**face.details, "labels": labels} if labels else face.details
    strict = bool(configuration["input"]) or face.strict
    return replace(face, metadata=metadata, strict=strict, details=details)


def _metadata(configuration: Configuration, side: str) -> tuple[TensorMetadata, ...]:
    lead = (-1,) if configuration["max_batch_size"] else ()
    return tuple(
        TensorMetadata(
            tensor["name"],
            protocol_name(tensor["data_type"]),
            (*lead, *tensor["dims"]),
            optional=tensor.get("optional", False),
        )
        for tensor in configuration[side]
    )


def _reshapes(configuration: Configuration, side: str) -> dict[str, Reshape]:
    batched = configuration["max_batch_size"] > 0
    found = {}
    for tensor in configuration[side]:
        if "reshape" in tensor:
            dims, shape = tuple(tensor["dims"]), tuple(tensor["reshape"]["shape"])
            given, wanted = (dims, shape) if side == "input" else (shape, dims)
            found[tensor["name"]] = Reshape(given, wanted, batched)
    return found


def _scalars(configuration: Configuration, side: str, tensors: tuple[TensorMetadata, ...]) -> dict[str, Reshape]:
    """Callers give and get one element where the graph has a tensor without axes."""
    by_name = {tensor.name: tensor for tensor in tensors}
    given, wanted = ((1,), ()) if side == "input" else ((), (1,))
    return {
        told["name"]: Reshape(given, wanted)
        for told in configuration[side]
        if is_scalar(configuration, told, by_name[told["name"]])
    }


def _with_instances(configuration: Configuration, settings: ModelSettings, face: ModelFace) -> Configuration:
    """``configuration`` with the instances there truly are, where it leaves that to the server."""
    if "ensemble_scheduling" in configuration:
        return configuration
    on_gpu = face.execution_provider.startswith(_GPU_PROVIDERS)
    group = {
        "name": configuration["name"],
        "kind": "KIND_GPU" if on_gpu else "KIND_CPU",
        "count": face.instances,
        "gpus": [settings.parameters.extra.get("device_id", 0)] if on_gpu else [],
        "secondary_devices": [],
        "profile": [],
        "passive": False,
        "host_policy": "",
    }
    if not configuration["instance_group"]:
        configuration["instance_group"] = [group]
    for given in configuration["instance_group"]:
        if given["kind"] == "KIND_AUTO":
            given["kind"], given["gpus"] = group["kind"], given["gpus"] or group["gpus"]
    return configuration
