"""Completes a configuration by what its model's graph takes and gives; knows no runtime."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InvalidArgumentError
from ..protocol import TensorMetadata
from ..tensor import shape_text
from .datatypes import configured_name
from .forms import Configuration

#: The members of which a configuration has one at most: how requests are scheduled.
SCHEDULERS = frozenset({"dynamic_batching", "sequence_batching", "ensemble_scheduling"})


def complete_by_graph(
    configuration: Configuration,
    inputs: Sequence[TensorMetadata],
    outputs: Sequence[TensorMetadata],
    default_max_batch_size: int,
) -> None:
    """Fill in batch size, scheduler, inputs and outputs where one of the last two is missing; else change nothing.

    A graph can be batched where every input and output has a first axis that is dynamic; ``default_max_batch_size`` is
    what one gets then that has no batch size yet. Raises InvalidArgumentError where there is one that the graph cannot
    have.
    """
    if (configuration["input"] or configuration["batch_input"]) and configuration["output"]:
        return
    own = sequence_tensors(configuration)
    sides = {
        "input": [tensor for tensor in inputs if tensor.name not in own],
        "output": [tensor for tensor in outputs if tensor.name not in own],
    }
    if all(tensor.shape[:1] == (-1,) for tensor in (*inputs, *outputs)):
        if not configuration["max_batch_size"] and not _says_all_axes(configuration, sides):
            configuration["max_batch_size"] = default_max_batch_size
            if default_max_batch_size > 1 and SCHEDULERS.isdisjoint(configuration):
                configuration["dynamic_batching"] = dict(_DYNAMIC_BATCHING)
    elif configuration["max_batch_size"]:
        raise InvalidArgumentError(
            f"autofill failed for model '{configuration['name']}': model does not support batching while non-zero "
            "max_batch_size is specified"
        )
    for side, tensors in sides.items():
        if not configuration[side]:
            configuration[side] = [_tensor(tensor, side, batched=configuration["max_batch_size"] > 0)
                                   for tensor in tensors]  # fmt: skip


def sequence_tensors(configuration: Configuration) -> frozenset[str]:
    """The graph's inputs and outputs that the server itself fills and keeps: controls and states of sequences."""
    sequences = configuration.get("sequence_batching")
    if sequences is None:
        return frozenset()
    states = [name for state in sequences["state"] for name in (state["input_name"], state["output_name"])]
    return frozenset([*(control["name"] for control in sequences["control_input"]), *states])


_DYNAMIC_BATCHING: Configuration = {
    "preferred_batch_size": [],
    "max_queue_delay_microseconds": 0,
    "preserve_ordering": False,
    "priority_levels": 0,
    "default_priority_level": 0,
    "priority_queue_policy": {},
}
_FLAGS = {
    "input": {"format": "FORMAT_NONE", "is_shape_tensor": False, "allow_ragged_batch": False, "optional": False,
              "is_non_linear_format_io": False},
    "output": {"label_filename": "", "is_shape_tensor": False, "is_non_linear_format_io": False},
}  # fmt: skip


def _says_all_axes(configuration: Configuration, sides: dict[str, list[TensorMetadata]]) -> bool:
    """Whether the tensors that are configured have all axes of the graph's: then the first is theirs, no batch's."""
    for side, tensors in sides.items():
        ranks = {tensor.name: len(tensor.shape) for tensor in tensors}
        for tensor in configuration[side]:
            if len(_model_dims(tensor)) == ranks.get(tensor["name"]):
                return True
    return False


def _model_dims(tensor: Configuration) -> list[int]:
    """The axes that the model sees of a configured tensor, without a batch's."""
    dims: list[int] = tensor["reshape"]["shape"] if "reshape" in tensor else tensor["dims"]
    return dims


def _tensor(tensor: TensorMetadata, side: str, *, batched: bool) -> Configuration:
    dims = list(tensor.shape[1:] if batched else tensor.shape)
    told: Configuration = {
        "name": tensor.name,
        "data_type": configured_name(tensor.datatype),
        "dims": dims or [1],
        **_FLAGS[side],
    }
    if batched and not dims:
        told["reshape"] = {"shape": []}
    return told


# -- comparing -----------------------------------------------------------------------------------------------------


def check_by_graph(
    configuration: Configuration, inputs: Sequence[TensorMetadata], outputs: Sequence[TensorMetadata]
) -> None:
    """Check that the graph takes and gives what the configuration says. Raises InvalidArgumentError."""
    name = configuration["name"]
    if configuration["batch_input"] or configuration["batch_output"]:
        raise InvalidArgumentError(f"model '{name}' has batch_input or batch_output, which are not supported")
    own = sequence_tensors(configuration)
    expected = len(configuration["input"]) + len(own & {tensor.name for tensor in inputs})
    _check_side(configuration, "input", inputs)
    if expected != len(inputs):
        missing = [tensor.name for tensor in inputs
                   if tensor.name not in own | {each["name"] for each in configuration["input"]}]  # fmt: skip
        raise InvalidArgumentError(
            f"unable to load model '{name}', configuration expects {expected} inputs, model provides {len(inputs)}"
            + (f"; not configured are {missing}" if missing else "")
        )
    _check_side(configuration, "output", outputs)
    for tensor in sorted(own - {tensor.name for tensor in (*inputs, *outputs)}):
        raise InvalidArgumentError(
            f"unable to load model '{name}', configuration expects a tensor '{tensor}' for its sequences, which the "
            "model does not have"
        )


def _check_side(configuration: Configuration, side: str, tensors: Sequence[TensorMetadata]) -> None:
    by_name = {tensor.name: tensor for tensor in tensors}
    for told in configuration[side]:
        tensor = by_name.get(told["name"])
        if tensor is None:
            raise InvalidArgumentError(
                f"unexpected inference {side} '{told['name']}', allowed {side}s are: {', '.join(by_name)} (model "
                f"'{configuration['name']}')"
            )
        if told["data_type"] != (provided := configured_name(tensor.datatype)):
            raise InvalidArgumentError(
                f"unable to load model '{configuration['name']}', configuration expects datatype {told['data_type']} "
                f"for {side} '{tensor.name}', model provides {provided}"
            )
        if tensor.shape or side == "input":  # an output without a shape in the graph may have any
            _check_dims(configuration, told, tensor, exact=side == "output")


def _check_dims(configuration: Configuration, told: Configuration, tensor: TensorMetadata, *, exact: bool) -> None:
    batched, shape, dims = configuration["max_batch_size"] > 0, tensor.shape, _model_dims(told)
    if is_scalar(configuration, told, tensor):
        return
    where = f"model '{configuration['name']}', tensor '{tensor.name}': "
    if batched and shape[:1] != (-1,):
        raise InvalidArgumentError(
            f"{where}for the model to support batching the shape should have at least 1 dimension and the first "
            f"dimension must be -1; but shape expected by the model is {shape_text(shape)}"
        )
    whole = (-1, *dims) if batched else tuple(dims)
    if len(whole) != len(shape) or not all(map(_agree, whole, shape, [exact] * len(shape))):
        complete = (
            " (an initial batch dimension because max_batch_size > 0 followed by the explicit tensor shape, making "
            f"complete shape {shape_text(whole)})"
            if batched
            else f" (shape {shape_text(whole)})"
        )
        raise InvalidArgumentError(
            f"{where}the model expects {len(shape)} dimensions (shape {shape_text(shape)}) but the model configuration "
            f"specifies {len(whole)} dimensions{complete}"
        )


def _agree(told: int, dim: int, exact: bool) -> bool:
    """Whether a configured dimension fits the graph's. An input may be narrower; of an output either may leave open
    what the other says."""
    return told == dim or dim == -1 or (exact and told == -1)


def is_scalar(configuration: Configuration, told: Configuration, tensor: TensorMetadata) -> bool:
    """Whether a tensor without axes in the graph is configured as one element, which such a tensor has to be."""
    return not tensor.shape and not configuration["max_batch_size"] and _model_dims(told) == [1]
