"""Settings of models from ``model-settings.json`` and the environment; finds no files and loads no model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from os.path import abspath, normpath
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ..errors import InvalidArgumentError
from . import mlserver_names
from .coercion import explain, parse_text
from .environment import RUNTIMES, Environment
from .json_file import json_kind, read_json_object
from .model import ModelParameters, ModelSettings
from .places import local_path
from .suggestion import closest, did_you_mean

MODEL_SETTINGS_FILE = "model-settings.json"

_PATHS = ("uri", "environment_path", "environment_tarball")
_RUNTIME = re.compile(rf"(?:mlserver_|oipserver_)?({'|'.join(RUNTIMES)})(?:\..*)?")

Warn = Callable[[str], None]
_Kind = TypeVar("_Kind", bound=BaseModel)


def load_model_settings(path: Path, environment: Environment, warn: Warn) -> ModelSettings:
    """The settings of one model version in ``path``; what the file leaves out comes from ``MLSERVER_MODEL_*`` or
    ``OIPSERVER_MODEL_*``, then from the folder it lies in.

    ``warn`` gets a line for each key that has no effect. Raises InvalidArgumentError, one line naming the file, the
    key, what was expected and what came.
    """
    raw = read_json_object(path)
    _warn_of_keys(raw, path, warn)
    settings = make_model_settings(raw, path.parent, environment, source=str(path))
    settings._source = abspath(path)
    if not settings.name:
        settings.name = _folder_name(path.parent, settings.version)
    return settings


def model_settings_from_environment(folder: Path, environment: Environment) -> ModelSettings | None:
    """The one model that the environment describes all by itself, as KServe does; None where it names no
    implementation. Raises InvalidArgumentError naming the variable."""
    if environment.model("implementation") is None:
        return None
    settings = make_model_settings({}, folder, environment, source="environment")
    if not settings.name:
        settings.name = _folder_name(folder, settings.version)
    return settings


def make_model_settings(raw: dict[str, Any], folder: Path, environment: Environment, *, source: str) -> ModelSettings:
    """Settings from the keys of a file, the environment for what they leave out, and absolute paths.

    Paths are relative to ``folder``, which is also the uri where none is given. Raises InvalidArgumentError.
    """
    top = dict(raw)
    sources: dict[str, str] = {}
    if "parameters" in raw and raw["parameters"] is None:
        del top["parameters"]
    _fill(top, ModelSettings, environment, sources, "")
    parameters = top.get("parameters", {})
    if not isinstance(parameters, dict):
        where = sources.get("parameters", source)
        raise InvalidArgumentError(f"parameters: expected an object, got {json_kind(parameters)} (from {where})")
    parameters = dict(parameters)
    _fill(parameters, ModelParameters, environment, sources, "parameters.")
    extra = _extra_from_environment(str(top.get("implementation", "")), environment)
    if extra and isinstance(parameters.get("extra", {}), dict):
        parameters["extra"] = {**extra, **parameters.get("extra", {})}
    top["parameters"] = _validated(
        ModelParameters, parameters, lambda field: sources.get(f"parameters.{field}", source), "parameters."
    )
    settings = _validated(ModelSettings, top, lambda field: sources.get(field, source), "")
    _resolve_paths(settings.parameters, folder)
    return settings


def _fill(
    raw: dict[str, Any], kind: type[BaseModel], environment: Environment, sources: dict[str, str], prefix: str
) -> None:
    for field, info in kind.model_fields.items():
        if field not in raw and (found := environment.model(field)):
            variable, text = found
            raw[field], sources[prefix + field] = parse_text(info.annotation, text, variable), variable


def _extra_from_environment(implementation: str, environment: Environment) -> dict[str, Any]:
    """``MLSERVER_MODEL_<RUNTIME>_<KEY>`` as MLServer's runtimes read it: JSON where it is, text where it is not."""
    match = _RUNTIME.fullmatch(implementation)
    if match is None:
        return {}
    extra: dict[str, Any] = {}
    for key, (_, text) in environment.below(f"{match[1]}_").items():
        try:
            extra[key] = json.loads(text)
        except ValueError:
            extra[key] = text
    return extra


def _validated(kind: type[_Kind], raw: dict[str, Any], where: Callable[[str], str], prefix: str) -> _Kind:
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise InvalidArgumentError(explain(error, kind, where, prefix)) from error


def _warn_of_keys(raw: dict[str, Any], path: Path, warn: Warn) -> None:
    for key in raw:
        if key in mlserver_names.MODEL:
            warn(f"{path}: " + mlserver_names.no_effect(key, mlserver_names.MODEL[key]))
        elif key not in ModelSettings.model_fields and key != "$schema":
            place = "; it belongs into 'parameters'" if key in ModelParameters.model_fields else ""
            warn(f"{path}: unknown key '{key}'" + (place or did_you_mean(key, ModelSettings.model_fields)))
    parameters = raw.get("parameters")
    for key in parameters if isinstance(parameters, dict) else ():
        # Other parameters are the model's own business, so only a near miss is worth a word.
        if key not in ModelParameters.model_fields and (match := closest(key, ModelParameters.model_fields, 0.8)):
            warn(f"{path}: parameter '{key}' is left to the model; did you mean '{match}'?")


def _folder_name(folder: Path, version: str) -> str:
    """The name a folder gives: its own, or its parent's where it is the folder of the version, NAME/VERSION."""
    folder = Path(abspath(folder))
    return folder.parent.name if version and folder.name == version else folder.name


def _resolve_paths(parameters: ModelParameters, folder: Path) -> None:
    parameters.uri = parameters.uri or abspath(folder)
    for field in _PATHS:
        if value := getattr(parameters, field):
            setattr(parameters, field, _absolute(value, folder))


def _absolute(uri: str, folder: Path) -> str:
    """A local path made absolute from ``folder``; the address of something remote as it is."""
    path = local_path(uri)
    return uri if path is None else normpath(Path(abspath(folder), path))
