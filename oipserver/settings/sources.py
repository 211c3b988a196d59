"""Server settings from command line, environment, file and defaults, each value with where it came from.

The only reader of the process environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import InvalidArgumentError
from . import mlserver_names
from .coercion import explain, known_word, parse_text
from .dotenv import DOTENV_FILE, read_dotenv
from .environment import Environment
from .json_file import read_json_object
from .model import ModelParameters, ModelSettings
from .server import Settings
from .suggestion import did_you_mean

SETTINGS_FILE = "settings.json"
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Resolved:
    """Finished settings.

    ``root`` is the folder (or .onnx file) models are looked for in. ``sources`` says for every field where its value
    came from: an option (``--http-port``), a variable, a file, or ``default``. ``warnings`` are for the log, one line
    each.
    """

    settings: Settings
    root: Path
    sources: dict[str, str]
    warnings: tuple[str, ...]


def process_environment(file: str | os.PathLike[str] | None = None) -> Environment:
    """What the environment of this process sets, and below it ``file``, by default ``.env`` in the working directory.

    Raises InvalidArgumentError for a file that cannot be read.
    """
    path = Path(DOTENV_FILE if file is None else file)
    return Environment(os.environ, read_dotenv(path), str(path)) if path.is_file() else Environment(os.environ)


def settings_in_environment(kind: type[BaseModel], file: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """The fields of a class of settings that the environment of this process sets, with ``file`` below it.

    Raises InvalidArgumentError naming a variable that cannot be used.
    """
    environment = process_environment(file)
    look = environment.model if issubclass(kind, (ModelSettings, ModelParameters)) else environment.server
    return {
        field: parse_text(info.annotation, found[1], found[0])
        for field, info in kind.model_fields.items()
        if (found := look(field))
    }


def option_name(field: str) -> str:
    """The command line option of a field."""
    return "--" + field.replace("_", "-")


def resolve_settings(
    root: Path | None = None,
    options: Mapping[str, Any] | None = None,
    environment: Environment | None = None,
) -> Resolved:
    """Put the settings together: ``options`` (by field, as text, lists of texts or values) over the environment, over
    ``settings.json`` in the root, over the defaults. ``root`` is the folder named on the command line, if any.

    Raises InvalidArgumentError, one line naming the key, what was expected, what came and from where.
    """
    environment = environment or process_environment()
    raw: dict[str, Any] = {}
    sources: dict[str, str] = {}
    _add_options(raw, sources, options or {})
    _add_environment(raw, sources, environment)
    if root is not None:
        raw["model_repository_root"], sources["model_repository_root"] = str(root), "command line"
    file = _settings_file(Path(str(raw.get("model_repository_root", "."))))
    warnings = environment.warnings()
    if file is not None:
        warnings += _add_file(raw, sources, file)
    settings = _validate(raw, sources)
    for field in Settings.model_fields:
        sources.setdefault(field, DEFAULT)
    return Resolved(settings, Path(settings.model_repository_root), sources, tuple(warnings))


def _add_options(raw: dict[str, Any], sources: dict[str, str], options: Mapping[str, Any]) -> None:
    for field, value in options.items():
        source = option_name(field)
        annotation = Settings.model_fields[field].annotation
        if isinstance(value, str):
            value = parse_text(annotation, value, source)
        elif isinstance(value, list):
            parsed = [parse_text(annotation, text, source) for text in value]
            value = [item for part in parsed for item in (part if isinstance(part, list) else [part])]
        elif value is False:
            source = option_name(f"no_{field}")
        raw[field], sources[field] = value, source


def _add_environment(raw: dict[str, Any], sources: dict[str, str], environment: Environment) -> None:
    for field, info in Settings.model_fields.items():
        if field not in raw and (found := environment.server(field)):
            variable, text = found
            raw[field], sources[field] = parse_text(info.annotation, text, variable), variable


def _settings_file(root: Path) -> Path | None:
    """The settings file of a root, which beside a bare model file is the one in its folder."""
    folder = root.parent if root.is_file() else root
    file = folder / SETTINGS_FILE
    return file if file.is_file() else None


def _add_file(raw: dict[str, Any], sources: dict[str, str], file: Path) -> list[str]:
    warnings = []
    for key, value in read_json_object(file).items():
        if key in mlserver_names.SERVER:
            warnings.append(f"{file}: " + mlserver_names.no_effect(key, mlserver_names.SERVER[key]))
        elif key not in Settings.model_fields:
            if key != "$schema":
                warnings.append(f"{file}: unknown key '{key}'" + did_you_mean(key, Settings.model_fields))
        elif key not in raw:
            raw[key], sources[key] = known_word(Settings.model_fields[key].annotation, value), str(file)
    return warnings


def _validate(raw: dict[str, Any], sources: dict[str, str]) -> Settings:
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise InvalidArgumentError(explain(error, Settings, lambda field: sources.get(field, DEFAULT))) from error
