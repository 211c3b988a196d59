"""What a configuration may say: the rules that need neither the model nor its folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import prod

from ..errors import InvalidArgumentError
from .backends import is_ensemble
from .forms import Configuration

_ANY_SIZE = 2**31


def check_configuration(configuration: Configuration, *, complete: bool = True) -> None:
    """Check a configuration. Raises InvalidArgumentError for the first rule that is broken.

    One that is not ``complete`` and has no batch size may get one yet: its other sizes are not compared with that.
    """
    if not complete and not configuration["max_batch_size"]:
        configuration = {**configuration, "max_batch_size": _ANY_SIZE}
    if configuration["max_batch_size"] < 0:
        raise _wrong(f"'max_batch_size' must be non-negative value for {configuration['name']}")
    _check_kind(configuration)
    _check_versions(configuration)
    _check_tensors(configuration)
    if (batching := configuration.get("dynamic_batching")) is not None:
        _check_dynamic_batching(batching, configuration)
    if (sequences := configuration.get("sequence_batching")) is not None:
        _check_sequences(sequences, configuration)
    _check_groups(configuration)
    _check_warmup(configuration)
    _check_cache(configuration)


def _wrong(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(message)


def _check_kind(configuration: Configuration) -> None:
    name = configuration["name"]
    if not is_ensemble(configuration):
        if "ensemble_scheduling" in configuration:
            raise _wrong(f"ensemble scheduling cannot be set for model '{name}' whose platform is not ensemble")
        return
    if "ensemble_scheduling" not in configuration:
        raise _wrong(f"ensemble scheduling must be set for ensemble '{name}' whose platform is ensemble")
    _check_ensemble(configuration)


def _check_ensemble(configuration: Configuration) -> None:
    name = configuration["name"]
    if not configuration["ensemble_scheduling"]["step"]:
        raise _wrong(f"must specify 'step' for ensemble '{name}'")
    for member, what in (("instance_group", "instance group"), ("optimization", "optimization")):
        if configuration.get(member):
            raise _wrong(f"{what} should not be specified for ensemble '{name}'")
    for side in ("input", "output"):
        if not configuration[side]:
            raise _wrong(f"must specify '{side}' for ensemble '{name}'")
    for number, step in enumerate(configuration["ensemble_scheduling"]["step"]):
        if not step["model_name"]:
            raise _wrong(f"must specify 'model_name' in step {number} of ensemble '{name}'")
        for member in ("input_map", "output_map"):
            if not step[member]:
                raise _wrong(f"must specify '{member}' in step {number} of ensemble '{name}'")


def _check_versions(configuration: Configuration) -> None:
    policy = configuration.get("version_policy", {})
    name = configuration["name"]
    if "latest" in policy and not policy["latest"]["num_versions"]:
        raise _wrong(f"version policy 'latest' must have 'num_versions' of 1 or more for {name}")
    if "specific" in policy:
        if not policy["specific"]["versions"]:
            raise _wrong(f"version policy 'specific' must have one version or more for {name}")
        if min(policy["specific"]["versions"]) < 0:
            raise _wrong(f"version policy 'specific' must have versions of 0 or more for {name}")


# -- inputs and outputs ------------------------------------------------------------------------------------------------


def _check_tensors(configuration: Configuration) -> None:
    for side in ("input", "output"):
        names = Counter(tensor["name"] for tensor in configuration[side])
        if names and (twice := names.most_common(1)[0])[1] > 1:
            raise _wrong(f"model {side} '{twice[0]}' is specified more than once for {configuration['name']}")
        for tensor in configuration[side]:
            _check_tensor(tensor, side, configuration)
    for tensor in configuration["input"]:
        if tensor["format"] != "FORMAT_NONE" and len(tensor["dims"]) != 3:
            raise _wrong(f"model input NHWC/NCHW require 3 dims for input '{tensor['name']}'")


def _check_tensor(tensor: Configuration, side: str, configuration: Configuration) -> None:
    if not tensor["name"]:
        raise _wrong(f"model {side} must specify 'name'")
    where = f" for {side} '{tensor['name']}'"
    if tensor["data_type"] == "TYPE_INVALID":
        raise _wrong(f"model {side} must specify 'data_type'" + where)
    if not tensor["dims"]:
        raise _wrong(f"model {side} must specify 'dims'" + where)
    if not _are_dims(tensor["dims"]):
        raise _wrong(
            f"model {side} dimension must be integer >= 1, or -1 to indicate a variable-size dimension{where}, "
            f"got {tensor['dims']}"
        )
    if tensor["is_shape_tensor"]:
        raise _wrong(f"shape tensors are not supported by backend '{configuration['backend']}'" + where)
    if (reshape := tensor.get("reshape")) is not None:
        _check_reshape(tensor["dims"], reshape["shape"], side, where, batching=configuration["max_batch_size"] > 0)


def _are_dims(dims: Iterable[int]) -> bool:
    return all(dim >= 1 or dim == -1 for dim in dims)


def _check_reshape(dims: list[int], shape: list[int], side: str, where: str, *, batching: bool) -> None:
    if not shape and not batching:
        raise _wrong(
            f"model {side} cannot have empty reshape for non-batching model as scalar tensors are not supported{where}"
        )
    if not _are_dims(shape):
        raise _wrong(
            f"model {side} reshape dimensions must be integer >= 1, or -1 to indicate a variable-size dimension{where}"
        )
    if dims.count(-1) != shape.count(-1):
        raise _wrong(f"model {side} has different number of variable-size dimensions for dims and reshape{where}")
    # Variable dimensions keep their order, and what lies between two of them keeps its number of elements.
    if _fixed_sizes(dims) != _fixed_sizes(shape):
        raise _wrong(f"model {side} has different size for dims and reshape{where}")


def _fixed_sizes(dims: list[int]) -> list[int]:
    """Elements of the fixed dimensions before, between and after the variable ones."""
    sizes, start = [], 0
    for index, dim in enumerate([*dims, -1]):
        if dim == -1:
            sizes.append(prod(dims[start:index]))
            start = index + 1
    return sizes


# -- scheduling --------------------------------------------------------------------------------------------------------


def _check_dynamic_batching(batching: Configuration, configuration: Configuration) -> None:
    name = configuration["name"]
    _check_preferred(batching["preferred_batch_size"], "dynamic batching", configuration)
    levels, default = batching["priority_levels"], batching["default_priority_level"]
    if batching["preserve_ordering"] and levels > 1:
        raise _wrong(f"Only one priority level is allowed when 'preserve_ordering' is true for {name}")
    if levels and not 1 <= default <= levels:
        raise _wrong(f"default priority level must be in range [1, {levels}] for {name}, got {default}")
    for level in batching["priority_queue_policy"]:
        if not 1 <= int(level) <= levels:
            raise _wrong(f"priority queue policy must have priority level in range [1, {levels}] for {name}")


def _check_preferred(sizes: list[int], what: str, configuration: Configuration) -> None:
    name, most = configuration["name"], configuration["max_batch_size"]
    for size in sizes:
        if size <= 0:
            raise _wrong(f"{what} preferred size must be positive for {name}")
        if size > most:
            raise _wrong(f"{what} preferred size must be <= max batch size for {name}")


def _check_sequences(sequences: Configuration, configuration: Configuration) -> None:
    name = configuration["name"]
    if oldest := sequences.get("oldest"):
        if oldest["max_candidate_sequences"] < 0:
            raise _wrong(f"sequence batching 'max_candidate_sequences' must be 0 or more for {name}")
        _check_preferred(oldest["preferred_batch_size"], "sequence batching", configuration)
    for control in sequences["control_input"]:
        if not control["name"]:
            raise _wrong(f"sequence batching control tensor must specify 'name' for {name}")
        if not control["control"]:
            raise _wrong(f"sequence batching control tensor '{control['name']}' must specify 'control' for {name}")
    kinds = Counter(each["kind"] for control in sequences["control_input"] for each in control["control"])
    if kinds and (twice := kinds.most_common(1)[0])[1] > 1:
        raise _wrong(f"sequence batching specifies multiple {twice[0]} tensors for {name}")
    for state in sequences["state"]:
        if not (state["input_name"] and state["output_name"]):
            raise _wrong(f"sequence batching state must specify 'input_name' and 'output_name' for {name}")
        if not state["dims"] or not _are_dims(state["dims"]) or state["data_type"] == "TYPE_INVALID":
            raise _wrong(f"sequence batching state '{state['input_name']}' must specify 'dims' and 'data_type'")


def _check_groups(configuration: Configuration) -> None:
    name = configuration["name"]
    for group in configuration["instance_group"]:
        where = f"instance group {group['name'] or name} of model {name}"
        if group["count"] < 0:
            raise _wrong(f"{where} must have a count of 0 or more, got {group['count']}")
        if group["gpus"] and group["kind"] in ("KIND_CPU", "KIND_MODEL"):
            raise _wrong(f"{where} has kind {group['kind']} but specifies one or more GPUs")
        if group["gpus"] and min(group["gpus"]) < 0:
            raise _wrong(f"{where} specifies a GPU below 0")


def _check_warmup(configuration: Configuration) -> None:
    name, most = configuration["name"], configuration["max_batch_size"]
    for sample in configuration["model_warmup"]:
        where = f"model warmup '{sample['name']}' of {name}"
        if sample["batch_size"] > max(most, 1):
            raise _wrong(f"{where} has batch size {sample['batch_size']}, but the model's largest is {most}")
        for input_name, given in sample["inputs"].items():
            if given["data_type"] == "TYPE_INVALID":
                raise _wrong(f"{where} must specify 'data_type' for input '{input_name}'")
            if any(dim < 0 for dim in given["dims"]):
                raise _wrong(f"{where} must specify dims of 0 or more for input '{input_name}', got {given['dims']}")
            if not {"zero_data", "random_data", "input_data_file"} & given.keys():
                raise _wrong(f"{where} must specify one of zero_data, random_data and input_data_file for input "
                             f"'{input_name}'")  # fmt: skip


def _check_cache(configuration: Configuration) -> None:
    if not configuration.get("response_cache", {}).get("enable"):
        return
    name = configuration["name"]
    if "sequence_batching" in configuration:
        raise _wrong(f"response cache is not supported for model '{name}' with sequence batching")
    if configuration.get("model_transaction_policy", {}).get("decoupled"):
        raise _wrong(f"response cache is not supported for model '{name}' with decoupled transactions")
