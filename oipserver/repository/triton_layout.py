"""Triton's layout: a folder with ``config.pbtxt``, or with numbered version folders; reads no model's artefact."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..configuration import (
    DEFAULT_FILES,
    Configuration,
    Warn,
    check_configuration,
    fill_backend,
    inside,
    is_version,
    model_settings,
    read_json,
    read_text,
    served_versions,
    versions_in,
)
from ..errors import InvalidArgumentError
from ..settings import Environment, ModelSettings
from ..settings.model_file import MODEL_SETTINGS_FILE, make_model_settings
from .layout import Findings, Folder, Layout, Problem, is_onnx

CONFIGURATION_FILE = "config.pbtxt"
CONFIGURATIONS_FOLDER = "configs"

# Backends of models that need no folder for a version, which repositories under version control easily lose.
_WITHOUT_FILES = ("ensemble", "identity")


class TritonLayout(Layout):
    """A folder is a model of its name: with a ``config.pbtxt``, or with a version's folder that has a file which shows
    the backend (``1/model.onnx``). Numbered folders are its versions; the newest is served unless the configuration's
    version policy says otherwise.

    ``config_name``: use ``configs/<config_name>.pbtxt`` where there is one. ``strict``: guess nothing, so that a model
    without configuration cannot be loaded.
    """

    explicit = False
    hidden = True

    def __init__(self, config_name: str | None = None, *, strict: bool = False) -> None:
        self._config_name = config_name
        self._strict = strict

    def claims(self, folder: Folder) -> bool:
        versions = [folder.path / name for name in folder.folders if is_version(name)]
        contents = [_names_in(version) for version in versions]
        if any(MODEL_SETTINGS_FILE in names for names in contents):
            return False
        if self._file(folder) is not None:
            return True
        return not any(map(is_onnx, folder.files)) and any(not DEFAULT_FILES.isdisjoint(names) for names in contents)

    def owned(self, folder: Folder) -> Collection[str]:
        if self._file(folder) is not None:
            return folder.folders
        return [name for name in folder.folders if name.isdigit()]

    def read(self, folder: Folder, environment: Environment, findings: Findings) -> None:
        def warn(message: str) -> None:
            findings.warnings.append(f"{folder.path}: {message}")

        try:
            models = self.models(folder, environment, warn)
        except InvalidArgumentError as error:
            message = f"{folder.path}: {error.message}"
            findings.problems.append(Problem(frozenset({folder.path.name}), message))
        else:
            findings.models += [(model, folder.path) for model in models]

    def models(
        self, folder: Folder, environment: Environment, warn: Warn, given: dict[str, Any] | None = None
    ) -> list[ModelSettings]:
        """The settings of every version to serve of the model in ``folder``, lowest first.

        ``given`` is a configuration in a JSON form that counts instead of the folder's own. ``warn`` gets a line for
        whatever has no effect. Raises InvalidArgumentError saying what is wrong with the model.
        """
        file = self._file(folder) if given is None else None
        name = folder.path.name
        configuration = self._configuration(name, file, warn) if given is None else read_json(given, warn)
        configuration["name"] = configuration["name"] or name
        if configuration["name"] != name:
            raise InvalidArgumentError(
                f"unexpected directory name '{name}' for model '{configuration['name']}', directory name must equal "
                "model name"
            )
        present = versions_in(folder.folders, warn)
        fill_backend(configuration, _names_in(folder.path / min(present)) if present else (), strict=self._strict)
        check_configuration(configuration, complete=False)
        return [
            self._version(folder, configuration, version, environment)
            for version in _versions(configuration, present, warn)
        ]

    def _file(self, folder: Folder) -> Path | None:
        """The file of the model's configuration; None where it has none."""
        if self._config_name and CONFIGURATIONS_FOLDER in folder.folders:
            custom = folder.path / CONFIGURATIONS_FOLDER / f"{self._config_name}.pbtxt"
            if custom.is_file():
                return custom
        return folder.path / CONFIGURATION_FILE if CONFIGURATION_FILE in folder.files else None

    def _configuration(self, name: str, file: Path | None, warn: Warn) -> Configuration:
        if file is None:
            if self._strict:
                raise InvalidArgumentError(
                    f"model '{name}' has no {CONFIGURATION_FILE}, and disable_auto_complete_config is set"
                )
            return read_text("", warn)
        try:
            return read_text(file.read_bytes(), lambda message: warn(f"{file.name}, {message}"))
        except OSError as error:
            raise InvalidArgumentError(f"cannot read {file}: {error.strerror}") from None
        except InvalidArgumentError as error:
            raise InvalidArgumentError(f"cannot read {file.name}: {error.message}") from None

    @staticmethod
    def _version(folder: Folder, configuration: Configuration, version: str, environment: Environment) -> ModelSettings:
        place = folder.path / version
        if filename := configuration["default_model_filename"]:
            place = inside(place, filename, "default_model_filename")
        raw = {
            **model_settings(configuration),
            "model_folder": str(folder.path),
            "parameters": {"uri": str(place), "version": version},
        }
        return make_model_settings(raw, folder.path, environment, source=str(folder.path))


def _versions(configuration: Configuration, present: list[str], warn: Warn) -> list[str]:
    """The versions to serve. Raises InvalidArgumentError where there is none."""
    name = configuration["name"]
    if not present:
        if {configuration["platform"], configuration["backend"]}.isdisjoint(_WITHOUT_FILES):
            raise InvalidArgumentError(f"model '{name}' has no version: expected a folder whose name is a number")
        present = ["1"]
    served = served_versions(configuration, present, warn)
    if not served:
        raise InvalidArgumentError(
            f"at least one version must be available under the version policy of model '{name}'; present are "
            f"{', '.join(present)}"
        )
    return served


def _names_in(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:  # gone meanwhile, or not ours to look at: the model's own folder tells more
        return frozenset()
