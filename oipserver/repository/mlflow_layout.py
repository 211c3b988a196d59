"""MLflow's layout: a folder with an ``MLmodel`` file; picks the runtime by what that says, reads no artefact."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ..errors import InvalidArgumentError
from ..settings import Environment, ModelSettings
from ..settings.model_file import make_model_settings
from .layout import Findings, Folder, Layout, Problem
from .mlmodel import MLMODEL_FILE, MLmodel, read_mlmodel, registered_as

# Folders that MLflow itself names, which say nothing of what the model is called.
_ANONYMOUS = frozenset({"artifacts", "model"})
_EXECUTION_MODES = {"sequential": "ORT_SEQUENTIAL", "parallel": "ORT_PARALLEL"}


class MLflowLayout(Layout):
    """A folder with ``MLmodel`` is a model of the folder's name, and of its parent's where the folder's is a number,
    which then is the version, or one of MLflow's own names (``artifacts``). What a registry named it counts first.

    ONNX models whose signature has tensors go to the ONNX runtime itself, all others to that of MLflow.
    """

    explicit = False

    def claims(self, folder: Folder) -> bool:
        return MLMODEL_FILE in folder.files

    def owned(self, folder: Folder) -> Collection[str]:
        return folder.folders

    def read(self, folder: Folder, environment: Environment, findings: Findings) -> None:
        path = folder.path / MLMODEL_FILE
        name, version = _name_of(folder.path)
        try:
            registered = registered_as(folder.path)
            name, version = registered if registered[0] and not version else (name, version)
            findings.models.append((mlflow_model(folder.path, name, environment, version), path))
        except InvalidArgumentError as error:
            findings.problems.append(Problem(frozenset({name}), f"{folder.path}: {error.message}"))


def mlflow_model(folder: Path, name: str, environment: Environment, version: str = "") -> ModelSettings:
    """Settings of the MLflow model in ``folder``; the environment may name it otherwise.

    Raises InvalidArgumentError.
    """
    raw = _runtime(read_mlmodel(folder), folder)
    if version:
        raw["parameters"]["version"] = version
    settings = make_model_settings(raw, folder, environment, source=str(folder / MLMODEL_FILE))
    settings.name = settings.name or name
    return settings


def _runtime(described: MLmodel, folder: Path) -> dict[str, Any]:
    """The implementation that runs a model, and where that finds it."""
    if described.flavors.get("onnx", {}).get("data") and (described.inputs is None or described.takes_tensors):
        flavor = described.flavors["onnx"]
        extra = _session_options(flavor.get("onnx_session_options") or {})
        parameters = {"uri": str(folder / flavor["data"])} | ({"extra": extra} if extra else {})
        return {"implementation": "onnx", "parameters": parameters}
    return {"implementation": "mlflow", "parameters": {"uri": str(folder)}}


def _session_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """MLflow's options of an onnxruntime session in our own runtime's words."""
    keys = ("intra_op_num_threads", "inter_op_num_threads", "graph_optimization_level")
    session: dict[str, Any] = {key: options[key] for key in keys if options.get(key)}
    if mode := _EXECUTION_MODES.get(str(options.get("execution_mode", "")).lower()):
        session["execution_mode"] = mode
    entries = options.get("extra_session_config") or {}
    return ({"session_options": session} if session else {}) | ({"session_config_entries": entries} if entries else {})


def _name_of(folder: Path) -> tuple[str, str]:
    """Name and version (or "") that a folder gives."""
    if folder.name.isdigit():
        return folder.parent.name, folder.name
    return (folder.parent.name if folder.name in _ANONYMOUS and folder.parent.name else folder.name), ""
