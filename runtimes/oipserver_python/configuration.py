"""A model's configuration in Triton's form, as models of the Python backend see it and change it; loads nothing."""

from __future__ import annotations

import copy
import json
from typing import Any

from oipserver import ModelSettings
from oipserver.types import MetadataTensor

from .datatypes import protocol_name

Configuration = dict[str, Any]
_TRITON_NAMES = {"BYTES": "TYPE_STRING"}


def configuration_of(settings: ModelSettings) -> Configuration:
    """The configuration of a model before it is loaded; what settings of another form say stands in for what is not
    there."""
    configuration: Configuration = copy.deepcopy(settings.configuration or {})
    configuration.setdefault("name", settings.name)
    configuration.setdefault("platform", "")
    configuration.setdefault("backend", "python")
    configuration.setdefault("max_batch_size", settings.max_batch_size or 0)
    batched = bool(configuration["max_batch_size"])
    for key, declared in (("input", settings.inputs), ("output", settings.outputs)):
        if not configuration.get(key):
            configuration[key] = [_tensor(tensor.name, tensor.datatype, tensor.shape, batched) for tensor in declared]
        for tensor in configuration[key]:
            tensor["dims"] = [int(dim) for dim in tensor.get("dims") or ()]
    return configuration


def _tensor(name: str, datatype: str, shape: list[int], batched: bool) -> Configuration:
    dims = shape[1:] if batched else shape
    return {"name": name, "data_type": _TRITON_NAMES.get(datatype, f"TYPE_{datatype}"), "dims": list(dims)}


def told(configuration: Configuration, side: str) -> list[MetadataTensor]:
    """The metadata of the inputs or outputs (``side``) that a configuration declares."""
    batch = [-1] if int(configuration.get("max_batch_size") or 0) > 0 else []
    return [
        MetadataTensor(
            name=tensor["name"],
            datatype=protocol_name(tensor["data_type"]),
            shape=[*batch, *(int(dim) for dim in tensor["dims"])],
        )
        for tensor in configuration[side]
    ]


def is_decoupled(configuration: Configuration) -> bool:
    """Whether a configuration says that answers come in any number of pieces."""
    return bool((configuration.get("model_transaction_policy") or {}).get("decoupled", False))


class ModelConfig:
    """What ``auto_complete_config`` is given: the configuration so far, and what may be added to it.

    Every method raises ValueError for what contradicts the configuration.
    """

    def __init__(self, model_config: str) -> None:
        """From the JSON text of a configuration."""
        self._model_config: Configuration = json.loads(model_config)

    @property
    def _name(self) -> str:
        return str(self._model_config["name"])

    def as_dict(self) -> Configuration:
        """The configuration so far."""
        return self._model_config

    def set_max_batch_size(self, max_batch_size: int) -> None:
        """Say how many rows a batch may have; 0 for a model without batches."""
        configured = self._model_config["max_batch_size"]
        if configured > max_batch_size:
            raise ValueError(
                f"configuration specified max_batch_size {configured}, but in auto-complete-config function for model "
                f"'{self._name}' specified max_batch_size {max_batch_size}"
            )
        self._model_config["max_batch_size"] = max_batch_size

    def set_dynamic_batching(self) -> None:
        """Have requests of several callers put together, unless the configuration already has it so."""
        for other in ("sequence_batching", "ensemble_scheduling"):
            if other in self._model_config:
                raise ValueError(
                    f"Configuration specified scheduling_choice as '{other}', but auto-complete-config function for "
                    f"model '{self._name}' tries to set scheduling_choice as 'dynamic_batching'"
                )
        self._model_config.setdefault("dynamic_batching", {})

    def add_input(self, input: dict[str, Any]) -> None:  # noqa: A002  # the name its users know
        """Declare an input: its ``name``, ``data_type``, ``dims`` and, if so, that it is ``optional``."""
        self._add("input", input, ("name", "data_type", "dims", "optional"))

    def add_output(self, output: dict[str, Any]) -> None:
        """Declare an output: its ``name``, ``data_type`` and ``dims``."""
        self._add("output", output, ("name", "data_type", "dims"))

    def set_model_transaction_policy(self, transaction_policy_dict: dict[str, Any]) -> None:
        """Say whether the model is ``decoupled``."""
        if unknown := set(transaction_policy_dict) - {"decoupled"}:
            raise ValueError(
                f"model transaction property in auto-complete-config function for model '{self._name}' contains "
                f"property other than 'decoupled': {sorted(unknown)}"
            )
        policy = self._model_config.setdefault("model_transaction_policy", {})
        if "decoupled" in transaction_policy_dict:
            wanted = transaction_policy_dict["decoupled"]
            if policy.get("decoupled", wanted) != wanted:
                raise ValueError(
                    f"trying to change decoupled property in auto-complete-config for model '{self._name}', which is "
                    f"already set to '{policy['decoupled']}'."
                )
            policy["decoupled"] = wanted

    def _add(self, side: str, tensor: dict[str, Any], properties: tuple[str, ...]) -> None:
        place = f"in auto-complete-config function for model '{self._name}'"
        if unknown := [key for key in tensor if key not in properties]:
            raise ValueError(
                f"{side} '{tensor.get('name')}' {place} contains property other than {', '.join(properties)}: {unknown}"
            )
        for required in ("name", "data_type", "dims"):
            if required not in tensor:
                raise ValueError(f"{side} '{tensor.get('name', '')}' {place} is missing '{required}' property.")
        known = next((each for each in self._model_config[side] if each["name"] == tensor["name"]), None)
        if known is None:
            self._model_config[side].append(dict(tensor))
            return
        self._check_same(side, known, tensor)
        known.update(tensor)

    def _check_same(self, side: str, known: dict[str, Any], given: dict[str, Any]) -> None:
        datatype = known.get("data_type", "TYPE_INVALID")
        if datatype not in ("TYPE_INVALID", given["data_type"]):
            raise ValueError(
                f"unable to load model '{self._name}', configuration expects datatype {datatype} for {side} "
                f"'{given['name']}', model provides {given['data_type']}"
            )
        if known.get("dims") and list(known["dims"]) != list(given["dims"]):
            raise ValueError(
                f"model '{self._name}', tensor '{given['name']}': the model expects dims {given['dims']} but the model "
                f"configuration specifies dims {known['dims']}"
            )
        if known.get("optional") and not given.get("optional", True):
            raise ValueError(
                f"model '{self._name}', tensor '{given['name']}': the model expects optional {given['optional']} but "
                f"the model configuration specifies optional {known['optional']}"
            )
