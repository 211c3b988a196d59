"""What a folder of models needs to be served: extras, requirements and a Python; writes nothing."""

from __future__ import annotations

import asyncio
import os
import shlex
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import metadata
from pathlib import Path

from ..errors import InvalidArgumentError
from ..repository import FileModelRepository
from ..runtime import runtime_name
from ..settings import Environment, ModelSettings, Settings, resolve_settings
from ..settings.yaml_file import require_yaml
from .conda import ENVIRONMENT_FILES, EXTRA, read_environment
from .mlflow_folders import mlflow_folders, python_of
from .requirements import is_plain, names_files, names_own_folder
from .walk import links_out

REQUIREMENTS_FILE = "requirements.txt"
PROJECT_FILE = "pyproject.toml"
PACKAGE = "oipserver"
OLDEST_PYTHON = (3, 11)

_NOBODY = Environment({})  # an image is the same whoever builds it: variables of this process set nothing in it


@dataclass(slots=True)
class Needs:
    """What was found in ``folder``.

    ``models`` as NAME or NAME:VERSION, ``bare``: the runtimes of those that no settings describe. ``extras`` of this
    server's package; ``files`` with requirements, relative to the folder; ``requirements`` that stand in no such file;
    ``local``: those that name files, each behind the folder it names them from; ``variables`` to set, of conda's.
    ``project``: the folder itself is a package to install; ``is_server``: it is this server's own source, whose image
    has no models. ``python`` the models were made with, as "3.12"; ``notes`` are for whoever builds.
    """

    folder: Path
    settings: Settings
    models: list[str] = field(default_factory=list)
    bare: set[str] = field(default_factory=set)
    extras: set[str] = field(default_factory=set)
    files: list[str] = field(default_factory=list)
    requirements: list[str] = field(default_factory=list)
    local: list[tuple[str, str]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    project: bool = False
    is_server: bool = False
    python: str | None = None
    notes: list[str] = field(default_factory=list)


def needs_of(folder: Path, *, mlflow_requirements: bool = True) -> Needs:
    """Look through ``folder``; ``mlflow_requirements``: use what MLflow's models say they need.

    Raises InvalidArgumentError where it is no folder, or a file in it that counts cannot be read.
    """
    folder = Path(os.path.abspath(folder))
    if not folder.is_dir():
        raise InvalidArgumentError(f"{folder} is no folder: expected one with models")
    needs = Needs(folder, resolve_settings(folder, environment=_NOBODY).settings)
    _add_project(needs)
    if needs.is_server:
        needs.extras.add("onnx")
        return needs
    of_mlflow = mlflow_folders(folder)
    if of_mlflow:
        require_yaml(of_mlflow[0], EXTRA)
    scan = asyncio.run(FileModelRepository(folder, _NOBODY).scan())
    needs.notes += [f"not served: {problem}" for problem in scan.problems]
    needs.notes += [f"{link} leads out of the folder, where an image cannot follow" for link in links_out(folder)]
    if not scan.models:
        needs.notes.append("no models found: the image serves what is mounted at /mnt/models")
    if needs.settings.tracing_server:
        needs.extras.add("otel")
    known = set(metadata(PACKAGE).get_all("Provides-Extra") or ())
    for model in scan.models:
        needs.models.append(f"{model.name}:{model.version}" if model.version else model.name)
        needs.extras |= _extras(model) & known
        if model.source is None and model.configuration is None:
            needs.bare.add(model.implementation)
    if of_mlflow and "mlflow" not in needs.extras:  # served by another runtime, but what they are stands in YAML
        needs.requirements.append("pyyaml")
    places = dict.fromkeys([folder, *(model.folder for model in scan.models)])
    for place in places:
        if place not in of_mlflow and place.is_relative_to(folder):
            _add_folder(needs, place)
    for place in of_mlflow if mlflow_requirements else ():
        _add_mlflow(needs, place)
    return needs


def _extras(model: ModelSettings) -> set[str]:
    """Extras by the names they would have; a model with an environment of its own has its packages there."""
    if model.parameters.environment_tarball or model.parameters.environment_path:
        return set()
    contents = [tensor.parameters or {} for tensor in (*model.inputs, *model.outputs)]
    kinds = {model.parameters.content_type, *(each.get("content_type") for each in contents)}
    return {runtime_name(model.implementation) or ""} | ({"pandas"} if "pd" in kinds else set())


def _add_project(needs: Needs) -> None:
    """A project with a build system is installed, of one without only the dependencies are."""
    path = needs.folder / PROJECT_FILE
    if not path.is_file():
        return
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidArgumentError(f"cannot read {path}: {error}") from None
    project = content.get("project", {})
    dependencies = project.get("dependencies", []) if isinstance(project, dict) else None
    if not isinstance(dependencies, list) or not all(isinstance(each, str) for each in dependencies):
        raise InvalidArgumentError(f"{path}: expected a table 'project' with a list of texts 'dependencies'")
    needs.is_server = project.get("name") == PACKAGE
    needs.project = "build-system" in content
    if not needs.project:
        needs.requirements += [" ".join(each.split()) for each in dependencies]


def _add_folder(needs: Needs, place: Path) -> None:
    if (place / REQUIREMENTS_FILE).is_file():
        _add_file(needs, place / REQUIREMENTS_FILE)
    for path in filter(Path.is_file, (place / name for name in ENVIRONMENT_FILES)):
        _add_conda(needs, path)


def _add_mlflow(needs: Needs, place: Path) -> None:
    """MLflow writes its requirements twice; the file for pip is the one that needs no translation."""
    _add_python(needs, python_of(place), place)
    if (place / REQUIREMENTS_FILE).is_file():
        _add_file(needs, place / REQUIREMENTS_FILE)
    elif (place / "conda.yaml").is_file():
        _add_conda(needs, place / "conda.yaml")


def _add_file(needs: Needs, path: Path) -> None:
    place = Path(os.path.normpath(path))
    if not place.is_relative_to(needs.folder) or not path.resolve().is_relative_to(needs.folder.resolve()):
        raise InvalidArgumentError(f"{path} leads out of {needs.folder}: an image can have what is in the folder alone")
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        raise InvalidArgumentError(f"cannot read {path}: {error.strerror}") from None
    name = place.relative_to(needs.folder).as_posix()
    # The builder is given files by name, and takes these characters alone for what they are.
    if names_files(text) or not is_plain(name):
        _add_local(needs, place.parent, f"-r {shlex.quote(place.name)}", text)
    elif name not in needs.files:
        needs.files.append(name)


def _add_conda(needs: Needs, path: Path) -> None:
    found = read_environment(path)
    for each in _new(found.requirements, needs.requirements):
        option, _, file = each.replace("=", " ", 1).partition(" ")
        if option in ("-r", "--requirement"):  # relative to the file that says so
            _add_file(needs, path.parent / file.strip())
        elif names_files(each):
            _add_local(needs, path.parent, each, each)
        else:
            needs.requirements.append(each)
    _add_python(needs, found.python, path)
    needs.variables |= found.variables
    if found.from_channels:
        channels = f"; conda's channels are not used: {', '.join(found.channels)}" if found.channels else ""
        needs.notes.append(f"{path.name}: its packages come from the Python package index, by pip{channels}")
    if found.left_out:
        what = ", ".join(found.left_out)
        needs.notes.append(f"{path.name}: left out, as pip cannot install it: {what} (see --system-packages)")


def _add_python(needs: Needs, python: str | None, where: Path) -> None:
    if python is None or python == needs.python:
        return
    if needs.python is not None:
        needs.notes.append(f"{where} asks for Python {python}, others for {needs.python}, which the image has")
    elif tuple(map(int, python.split("."))) < OLDEST_PYTHON:
        needs.notes.append(f"{where} asks for Python {python}, which is too old for this server: pickles may not load")
    else:
        needs.python = python


def _add_local(needs: Needs, folder: Path, requirement: str, text: str) -> None:
    if folder == needs.folder and names_own_folder(text):
        needs.project = False  # pip takes it once
    needs.local.append((folder.relative_to(needs.folder).as_posix(), requirement))


def _new(found: Iterable[str], present: Iterable[str]) -> list[str]:
    return [each for each in dict.fromkeys(found) if each not in set(present)]
