"""MLflow models into the store: downloaded, described for the server, with what is known of their runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import InvalidArgumentError
from ..repository.mlmodel import MLMODEL_FILE, read_mlmodel
from ..settings import ModelSettings
from ..tensor import DATATYPES
from .flavors import serving
from .mlflow_source import RunData, fetch_model, fetch_run
from .store import Draft, ModelStore
from .stored import StoredModel
from .tags import Tag

#: The folder with the ``MLmodel`` in that of a stored model.
MLFLOW_MODEL_FOLDER = "mlflow_model"

#: Rows of a batch for a model that is to be batched, where nobody says.
DEFAULT_BATCH = 100


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
    labels, metadata = _checked_labels(options.labels), _plain(options.metadata)
    settings = _checked_settings(options.settings)

    def fill(folder: Path) -> Draft:
        model = folder / MLFLOW_MODEL_FOLDER
        resolved = fetch_model(uri, model)
        try:
            implementation, parameters = serving(model, options.runtime)
        except InvalidArgumentError as error:
            message = error.message.replace(str(model), uri)
            raise InvalidArgumentError(f"cannot import {uri}: {message}") from None
        told = _document(model)
        run = fetch_run(uri, told) if options.with_run else None
        parameters["uri"] = str(Path(MLFLOW_MODEL_FOLDER, parameters["uri"]))
        return Draft(
            _settings(implementation, parameters, settings, _inputs(model) if options.enforce_inputs else None),
            labels=(run.labels() if run else {}) | labels,
            metadata=(_run_metadata(run) if run else {}) | metadata,
            source=_source(uri, resolved, implementation, told),
        )

    return store.add(tag, fill)


def batching_of(signatures: Mapping[str, Any] | None) -> dict[str, Any]:
    """What ``{"predict": {"batchable": True}}`` comes to as settings of a model.

    Raises InvalidArgumentError for another method than ``predict``, and for batches along another axis than the first.
    """
    settings: dict[str, Any] = {}
    for method, signature in (signatures or {}).items():
        if method != "predict" or not isinstance(signature, Mapping):
            raise InvalidArgumentError(
                f"signatures: expected 'predict' alone, with an object such as {{'batchable': True}}; got {method!r}: "
                f"{signature!r}"
            )
        if signature.get("batch_dim", 0) not in (0, (0, 0), [0, 0]):
            raise InvalidArgumentError(
                f"signatures: predict: batches form along the first axis, got batch_dim {signature['batch_dim']!r}"
            )
        settings = {"max_batch_size": DEFAULT_BATCH if signature.get("batchable") else 0}
    return settings


def _document(folder: Path) -> dict[str, Any]:
    """The whole MLmodel, of which ``read_mlmodel`` knows what serving needs."""
    import yaml  # there, or it could not have been read before

    document = yaml.safe_load((folder / MLMODEL_FILE).read_bytes())
    return document if isinstance(document, dict) else {}


def _source(uri: str, resolved: str, implementation: str, told: Mapping[str, Any]) -> dict[str, Any]:
    source = {"uri": uri, "resolved": resolved, "runtime": implementation, "flavors": sorted(told.get("flavors", {}))}
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


def _checked_labels(labels: Mapping[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        if not all(isinstance(text, str) for text in (key, value)):
            raise InvalidArgumentError(f"labels: expected text by text, got {key!r}: {value!r}")
    return dict(labels)


def _checked_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Raises InvalidArgumentError for keys that mean nothing, and for values that cannot be."""
    for key in settings:
        if key not in ModelSettings.model_fields or key in ("name", "implementation", "model_folder"):
            raise InvalidArgumentError(
                f"'{key}' cannot be set when a model is imported: expected a key of its settings"
            )
    try:
        ModelSettings.model_validate(dict(settings))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise InvalidArgumentError(f"settings: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
    return dict(settings)


def _run_metadata(run: RunData) -> dict[str, Any]:
    return _plain(run.metadata())


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """``metadata`` as JSON has it; numbers of numpy become plain ones."""

    def number(value: Any) -> Any:
        if hasattr(value, "tolist"):
            return value.tolist()
        raise TypeError(f"a {type(value).__name__} cannot be kept")

    try:
        plain = json.loads(json.dumps(dict(metadata), default=number))
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"metadata: expected what JSON has: {error}") from None
    assert isinstance(plain, dict)
    return plain
