"""What an ``MLmodel`` file says of the model beside it; reads that one file and knows neither MLflow nor a runtime."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InvalidArgumentError
from ..settings.yaml_file import read_yaml

MLMODEL_FILE = "MLmodel"
REGISTERED_FILE = "registered_model_meta"
PYFUNC = "python_function"
_EXTRA = "mlflow"  # which brings PyYAML

#: One input, output or parameter of a signature, as MLflow writes it: name, type and whatever else.
Element = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MLmodel:
    """An MLflow model's description.

    ``inputs``, ``outputs`` and ``params`` are the signature's, None for what it leaves open. ``from_type_hint``: the
    model takes a list of what a Python type says, not a table. ``example``: the file with a request, beside the model.
    """

    flavors: Mapping[str, Mapping[str, Any]]
    inputs: tuple[Element, ...] | None
    outputs: tuple[Element, ...] | None
    params: tuple[Element, ...]
    from_type_hint: bool
    example: str | None

    @property
    def native_flavor(self) -> str:
        """The flavor that ``python_function`` loads, "" where it loads a class of the model's own, or is not there."""
        module = str(self.flavors.get(PYFUNC, {}).get("loader_module", ""))
        flavor = module.removeprefix("mlflow.")
        return flavor if module.startswith("mlflow.") and flavor in self.flavors else ""

    @property
    def takes_tensors(self) -> bool:
        """Whether the signature has tensors as inputs, not columns."""
        return bool(self.inputs) and all(element.get("type") == "tensor" for element in self.inputs or ())


def read_document(folder: Path) -> dict[str, Any]:
    """The whole ``MLmodel`` in ``folder``. Raises InvalidArgumentError saying what is wrong with it, or is missing."""
    path = folder / MLMODEL_FILE
    document = read_yaml(path, _EXTRA)
    if not isinstance(document, dict) or not isinstance(document.get("flavors"), dict):
        raise InvalidArgumentError(f"{path} describes no model: expected a mapping with 'flavors'")
    return document


def read_mlmodel(folder: Path) -> MLmodel:
    """What the ``MLmodel`` in ``folder`` says of serving it. Raises as ``read_document`` does."""
    path, document = folder / MLMODEL_FILE, read_document(folder)
    signature = document.get("signature") or {}
    example = document.get("saved_input_example_info") or {}
    if not isinstance(signature, dict) or not isinstance(example, dict):
        raise InvalidArgumentError(f"{path}: expected signature and saved_input_example_info to be mappings")
    return MLmodel(
        {name: flavor or {} for name, flavor in document["flavors"].items()},
        _elements(signature, "inputs", path),
        _elements(signature, "outputs", path),
        _elements(signature, "params", path) or (),
        bool(document.get("is_signature_from_type_hint")),
        example.get("serving_input_path") or None,
    )


def registered_as(folder: Path) -> tuple[str, str]:
    """Name and version under which the model in ``folder`` was registered; "" where that is not told there.

    Raises InvalidArgumentError where it cannot be read.
    """
    path = folder / REGISTERED_FILE
    document = read_yaml(path, _EXTRA) if path.is_file() else None
    if not isinstance(document, dict):
        return "", ""
    return str(document.get("model_name") or ""), str(document.get("model_version") or "")


def _elements(signature: Mapping[str, Any], key: str, path: Path) -> tuple[Element, ...] | None:
    """The elements that ``signature`` has under ``key``, which are JSON in YAML; None where there are none."""
    text = signature.get(key)
    if not text:
        return None
    try:
        elements = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"{path}: signature.{key} is not JSON: {error}") from None
    if not isinstance(elements, list) or not all(isinstance(element, dict) for element in elements):
        raise InvalidArgumentError(f"{path}: signature.{key}: expected a list of objects")
    return tuple(elements)
