"""MLflow models into the store: downloaded, described for the server, with what is known of their runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InvalidArgumentError
from ..repository.mlmodel import read_document, read_mlmodel
from ..tensor import DATATYPES
from .flavors import serving
from .given import checked_labels, checked_settings, plain_json
from .mlflow_source import RunData, fetch_model, fetch_run
from .store import Draft, ModelStore
from .stored import StoredModel
from .tags import Tag

#: The folder with the ``MLmodel`` in that of a stored model.
MLFLOW_MODEL_FOLDER = "mlflow_model"


@dataclass(slots=True)
class ImportOptions:
    """What whoever imports may choose.

    ``labels`` are text, ``metadata`` is anything that JSON has. ``settings`` are keys of ``model-settings.json``, such
    as ``max_batch_size``. ``runtime`` forces a flavor or a runtime. ``with_run`` takes parameters, metrics and tags of
    the model's run along, ``enforce_inputs`` has requests refused whose inputs are not those of the signature.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    runtime: str = ""
    with_run: bool = False
    enforce_inputs: bool = False


def import_mlflow_model(store: ModelStore, tag: Tag | str, uri: str, options: ImportOptions) -> StoredModel:
    """A new version of ``tag`` in ``store``, from the MLflow model at ``uri``: a local folder, or ``runs:/``,
    ``models:/``, ``s3://`` and whatever else MLflow resolves. Raises OIPError; nothing is left in the store then."""
    labels, metadata = checked_labels(options.labels), plain_json(options.metadata)
    settings = checked_settings(options.settings)

    def fill(folder: Path) -> Draft:
        model = folder / MLFLOW_MODEL_FOLDER
        resolved = fetch_model(uri, model)
        try:
            implementation, parameters = serving(model, options.runtime)
        except InvalidArgumentError as error:
            message = error.message.replace(str(model), uri)
            raise InvalidArgumentError(f"cannot import {uri}: {message}") from None
        told = read_document(model)
        run = fetch_run(uri, told) if options.with_run else None
        parameters["uri"] = str(Path(MLFLOW_MODEL_FOLDER, parameters["uri"]))
        return Draft(
            _settings(implementation, parameters, settings, _inputs(model) if options.enforce_inputs else None),
            labels=(run.labels() if run else {}) | labels,
            metadata=(_run_metadata(run) if run else {}) | metadata,
            source=_source(uri, resolved, implementation, told),
        )

    return store.add(tag, fill)


def _source(uri: str, resolved: str, implementation: str, told: Mapping[str, Any]) -> dict[str, Any]:
    source = {"uri": uri, "resolved": resolved, "runtime": implementation, "flavors": sorted(told["flavors"])}
    kept = ("mlflow_version", "model_id", "run_id", "model_uuid")
    return source | {key: str(told[key]) for key in kept if told.get(key)}


def _settings(
    implementation: str, parameters: dict[str, Any], given: Mapping[str, Any], inputs: list[dict[str, Any]] | None
) -> dict[str, Any]:
    own = given.get("parameters", {})
    extra = {**parameters.get("extra", {}), **own.get("extra", {})}
    merged = {**parameters, **own} | ({"extra": extra} if extra else {})
    enforced: dict[str, Any] = {} if inputs is None else {"enforce_inputs": True, "inputs": inputs}
    return {"implementation": implementation, **enforced, **given, "parameters": merged}


def _inputs(folder: Path) -> list[dict[str, Any]]:
    """The inputs of the signature, as model settings declare them. Raises InvalidArgumentError where it has no tensors:
    columns are judged by MLflow's runtime, whatever is asked for."""
    described = read_mlmodel(folder)
    if not described.takes_tensors:
        raise InvalidArgumentError(
            "inputs can be enforced where the signature has tensors, and it has none: declare them in the settings"
        )
    return [_declared(element, f"input-{index}") for index, element in enumerate(described.inputs or ())]


def _declared(element: Mapping[str, Any], default: str) -> dict[str, Any]:
    spec = element.get("tensor-spec", {})
    dtype, shape = str(spec.get("dtype")), spec.get("shape", [-1])
    datatype = next(
        (name for name, known in DATATYPES.items() if known.dtype.name == dtype and name != "BF16"), "BYTES"
    )
    return {"name": str(element.get("name") or default), "datatype": datatype, "shape": list(shape)}


def _run_metadata(run: RunData) -> dict[str, Any]:
    return plain_json(run.metadata())
