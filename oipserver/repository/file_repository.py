"""Models in a folder of this machine, or in one file; walks folders and asks layouts, loads nothing."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from ..errors import InvalidArgumentError
from ..settings import Environment, ModelSettings, model_settings_from_environment, process_environment
from .layout import (
    ENVIRONMENT_MARKS,
    FOREIGN_FOLDERS,
    ONNX_FILE,
    BareOnnxLayout,
    Findings,
    Folder,
    Layout,
    MLServerLayout,
    Problem,
    bare_onnx,
    is_onnx,
)
from .mlflow_layout import MLflowLayout
from .repository import ModelRepository, Scan, unaddressable
from .triton_layout import CONFIGURATION_FILE, TritonLayout

_log = logging.getLogger(__name__)

LAYOUTS: tuple[Layout, ...] = (MLServerLayout(), TritonLayout(), MLflowLayout(), BareOnnxLayout())

# Bounds of a search that was started in the wrong place, such as the root of a disk.
MAX_DEPTH = 32
MAX_FOLDERS = 20_000


class FileModelRepository(ModelRepository):
    """The models below ``root``, a folder, or the one model in ``root``, an ``.onnx`` file.

    Files are read in a thread, at each call anew. A warning is logged once, not at every call.
    """

    def __init__(self, root: Path, environment: Environment | None = None, layouts: Sequence[Layout] = LAYOUTS) -> None:
        self._root = Path(os.path.abspath(root))
        self._environment = environment or process_environment()
        self._layouts = layouts
        self._warned: set[str] = set()

    async def scan(self) -> Scan:
        findings = await self._look()
        places: dict[str, tuple[Path, ...]] = {}
        for settings, path in findings.models:
            places[settings.name] = (*places.get(settings.name, ()), _place(path))
        return Scan(
            [settings for settings, _ in findings.models],
            [problem.message for problem in findings.problems],
            {name: problem.message for problem in findings.problems for name in problem.names},
            places,
        )

    async def find(self, name: str) -> list[ModelSettings]:
        return (await self.scan()).of(name)

    async def look(self, name: str) -> Scan:
        return await self.scan()

    async def _look(self) -> Findings:
        findings = await asyncio.to_thread(self._read)
        for warning in findings.warnings:
            if warning not in self._warned:
                _log.warning("%s", warning)
        self._warned = set(findings.warnings)
        return findings

    def _read(self) -> Findings:
        findings = Findings()
        if self._root.is_file():
            self._read_file(findings)
        elif self._root.is_dir():
            _Walk(self._layouts, self._environment, findings).visit(self._root)
            self._add_model_of_environment(findings)
        else:
            raise InvalidArgumentError(f"model repository {self._root} does not exist")
        _remove_unusable(findings)
        return findings

    def _read_file(self, findings: Findings) -> None:
        if not is_onnx(self._root.name):
            raise InvalidArgumentError(f"model repository {self._root} is a file: expected a folder or an .onnx file")
        findings.models.append((bare_onnx(self._root, self._root.stem, self._environment), self._root))

    def _add_model_of_environment(self, findings: Findings) -> None:
        """Where no file describes a model the environment may, and then bare files are that model's artefacts."""
        if findings.problems or any(_is_described(settings) for settings, _ in findings.models):
            return
        try:
            settings = model_settings_from_environment(self._root, self._environment)
        except InvalidArgumentError as error:
            findings.models, name = [], self._environment.model("name")
            findings.problems.append(Problem(frozenset({name[1] if name else self._root.name}), error.message))
        else:
            if settings is not None:
                findings.models = [(settings, self._root)]


class _Walk:
    """One walk over the folders below a root: in order of names, links followed, never in circles."""

    def __init__(self, layouts: Sequence[Layout], environment: Environment, findings: Findings) -> None:
        self._layouts = layouts
        self._environment = environment
        self._findings = findings
        self._visited = 0

    def visit(self, path: Path, above: frozenset[tuple[int, int]] = frozenset(), *, claimed: bool = False) -> None:
        """Look at ``path`` and below. ``above`` are the folders on the way here: a link to one of them is a circle.

        Raises InvalidArgumentError where the first folder cannot be read.
        """
        self._visited += 1
        if len(above) > MAX_DEPTH or self._visited > MAX_FOLDERS:
            self._give_up(path)
            return
        try:
            identity = _identity(path)
            folder = _listing(path)
        except OSError as error:
            self._unreadable(path, error, first=not above)
            return
        if identity in above or (above and not ENVIRONMENT_MARKS.isdisjoint(folder.files + folder.folders)):
            return
        hidden = bool(above) and path.name.startswith(".")
        layout = self._layout(folder, claimed=claimed, hidden=hidden)
        owned: Collection[str] = ()
        if layout is not None:
            layout.read(folder, self._environment, self._findings)
            claimed, owned = claimed or layout.explicit, layout.owned(folder)
        if not hidden:
            for name in folder.folders:
                if not (name in owned or name in FOREIGN_FOLDERS):
                    self.visit(path / name, above | {identity}, claimed=claimed)

    def _layout(self, folder: Folder, *, claimed: bool, hidden: bool) -> Layout | None:
        """The layout that ``folder`` has, of those that may be asked."""
        for layout in self._layouts:
            if (layout.explicit or not claimed) and (layout.hidden or not hidden) and layout.claims(folder):
                return layout
        return None

    def _give_up(self, path: Path) -> None:
        if self._visited <= MAX_FOLDERS:
            self._findings.warnings.append(f"{path} is too deep: no models are looked for more than {MAX_DEPTH} down")
        elif self._visited == MAX_FOLDERS + 1:
            self._findings.warnings.append(f"no models are looked for from {path} on: {MAX_FOLDERS} folders are enough")

    def _unreadable(self, path: Path, error: OSError, *, first: bool) -> None:
        message = f"cannot read folder {path}: {error.strerror}"
        if first:
            raise InvalidArgumentError(message) from error
        self._findings.warnings.append(message)


def _place(path: Path) -> Path:
    """What is watched for changes of the model that ``path`` describes: its folder, but of a bare file the file."""
    return path if path.is_dir() or (is_onnx(path.name) and path.name != ONNX_FILE) else path.parent


def _is_described(settings: ModelSettings) -> bool:
    """Whether a file says what a model is, and not its folder alone."""
    folder = settings.model_folder
    return settings.source is not None or (folder is not None and Path(folder, CONFIGURATION_FILE).exists())


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _listing(path: Path) -> Folder:
    files: list[str] = []
    folders: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            (folders if _is_folder(entry) else files).append(entry.name)
    return Folder(path, tuple(sorted(files)), tuple(sorted(folders)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _remove_unusable(findings: Findings) -> None:
    """Turn models that cannot be told apart or addressed into problems."""
    found: dict[tuple[str, str], dict[str, tuple[ModelSettings, Path]]] = {}
    for settings, path in findings.models:
        if complaint := unaddressable(settings):
            findings.problems.append(Problem(frozenset({settings.name}), f"{path}: {complaint}"))
        else:
            # Two links to one file describe one model, not two.
            same = found.setdefault((settings.name, settings.version), {})
            same.setdefault(os.path.realpath(path), (settings, path))
    findings.models = []
    for (name, version), files in found.items():
        models = list(files.values())
        if len(models) == 1:
            findings.models.append(models[0])
            continue
        what = f"model '{name}'" + (f" version '{version}'" if version else "")
        places = " and ".join(str(path) for _, path in models)
        findings.problems.append(Problem(frozenset({name}), f"{what} is described more than once: {places}"))
