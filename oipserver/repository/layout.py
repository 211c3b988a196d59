"""Folder layouts: how a folder shows that it holds models. Reads settings files, never a model's artefact."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ..configuration import configure
from ..errors import InvalidArgumentError
from ..settings import Environment, ModelSettings, load_model_settings
from ..settings.json_file import read_json_object
from ..settings.model_file import MODEL_SETTINGS_FILE, make_model_settings

ONNX_SUFFIX = ".onnx"
ONNX_FILE = "model.onnx"

# Folders that are no part of a model and hold none, whatever is in them.
FOREIGN_FOLDERS = frozenset({"__pycache__", "site-packages", "node_modules", "lost+found", "__MACOSX"})
# What an unpacked Python environment has one of: its packages may bring models as test data.
ENVIRONMENT_MARKS = frozenset({"pyvenv.cfg", "conda-meta"})


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of the repository with the names in it, sorted."""

    path: Path
    files: tuple[str, ...]
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """A model that is there but cannot be read: ``names`` it may have, and why, in one line."""

    names: frozenset[str]
    message: str


@dataclass(slots=True)
class Findings:
    """Models found, each with the file or folder that describes it, and what was wrong with others."""

    models: list[tuple[ModelSettings, Path]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Layout(ABC):
    """One way of laying out models in folders. The repository asks its layouts, in order, about each folder; the first
    that claims it reads it."""

    #: Whether everything below a claimed folder is its own: guessing layouts are not asked there any more.
    explicit: ClassVar[bool]

    #: Whether folders whose names start with a dot may be laid out this way; others are hidden, as everywhere.
    hidden: ClassVar[bool] = False

    @abstractmethod
    def claims(self, folder: Folder) -> bool:
        """Whether ``folder`` is laid out this way."""

    @abstractmethod
    def read(self, folder: Folder, environment: Environment, findings: Findings) -> None:
        """Add the models of a claimed folder, or why they cannot be read, to ``findings``."""

    def owned(self, folder: Folder) -> Collection[str]:
        """The folders in a claimed one that are part of its model: no other models are looked for there."""
        return ()


class MLServerLayout(Layout):
    """A folder with ``model-settings.json``: one version of one model. Folders nest to any depth."""

    explicit = True

    def claims(self, folder: Folder) -> bool:
        return MODEL_SETTINGS_FILE in folder.files

    def read(self, folder: Folder, environment: Environment, findings: Findings) -> None:
        path = folder.path / MODEL_SETTINGS_FILE
        try:
            settings = load_model_settings(path, environment, findings.warnings.append)
            if settings.configuration is not None:
                configure(settings, lambda message: findings.warnings.append(f"{path}: configuration: {message}"))
        except InvalidArgumentError as error:
            findings.problems.append(Problem(_likely_names(path), error.message))
        else:
            findings.models.append((settings, path))


class BareOnnxLayout(Layout):
    """``.onnx`` files without any settings.

    ``model.onnx`` makes its folder a model of the folder's name, and of its parent's name where the folder's is a
    number, which then is the version. Without one, every ``x.onnx`` is a model ``x``.
    """

    explicit = False

    def claims(self, folder: Folder) -> bool:
        return any(map(is_onnx, folder.files))

    def read(self, folder: Folder, environment: Environment, findings: Findings) -> None:
        for name, version, file in self._models(folder):
            path = folder.path / file
            try:
                findings.models.append((bare_onnx(path, name, environment, version), path))
            except InvalidArgumentError as error:
                findings.problems.append(Problem(frozenset({name}), f"{path}: {error.message}"))

    @staticmethod
    def _models(folder: Folder) -> Iterator[tuple[str, str, str]]:
        if ONNX_FILE not in folder.files:
            for file in filter(is_onnx, folder.files):
                yield file[: -len(ONNX_SUFFIX)], "", file
        elif folder.path.name.isdigit():
            yield folder.path.parent.name, folder.path.name, ONNX_FILE
        else:
            yield folder.path.name, "", ONNX_FILE


def is_onnx(file: str) -> bool:
    """Whether a file name is that of an ONNX model; hidden ones are somebody's leftovers."""
    return file.lower().endswith(ONNX_SUFFIX) and not file.startswith(".")


def bare_onnx(path: Path, name: str, environment: Environment, version: str = "") -> ModelSettings:
    """Settings of an ``.onnx`` file that has none; the environment may name it otherwise.

    Raises InvalidArgumentError where a variable is wrong.
    """
    parameters = {"uri": path.name} | ({"version": version} if version else {})
    raw: dict[str, Any] = {"implementation": "onnx", "parameters": parameters}
    settings = make_model_settings(raw, path.parent, environment, source=str(path))
    settings.name = settings.name or name
    return settings


def _likely_names(path: Path) -> frozenset[str]:
    """What the model of a settings file that cannot be used is called, or may be called."""
    try:
        name = read_json_object(path).get("name")
    except InvalidArgumentError:
        name = None
    folder = path.parent
    return frozenset({name} if name and isinstance(name, str) else {folder.name, folder.parent.name})
