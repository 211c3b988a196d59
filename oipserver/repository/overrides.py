"""Models as a client overrides them, in private folders of their own; knows no wire and nothing of what is loaded."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from ..configuration import to_message
from ..errors import InternalError, InvalidArgumentError, ResourceExhaustedError, UnsupportedError
from ..protocol.names import wrong_name
from ..settings import ModelSettings
from ..settings.model_file import MODEL_SETTINGS_FILE
from .mlflow_uri import fetch
from .repository import ModelRepository, Scan
from .triton_layout import CONFIGURATION_FILE


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a load request brings along: ``config``, the JSON text of a configuration in Triton's form, and ``files``,
    contents by their path in the model's folder, which take the place of all that is there, and so does what MLflow has
    at ``uri``."""

    config: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    uri: str | None = None

    @property
    def replaces(self) -> bool:
        """Whether nothing that the repository has of the model counts."""
        return bool(self.files) or self.uri is not None

    @property
    def describes(self) -> bool:
        """Whether the files alone say what model they are."""
        return self.uri is not None or any(
            path.rpartition("/")[2] in (MODEL_SETTINGS_FILE, CONFIGURATION_FILE) for path in self.files
        )


@dataclass(slots=True)
class Overlay:
    """A model with overrides, in ``folder``; ``models`` are its versions, ``size`` the bytes that were uploaded."""

    folder: Path
    models: list[ModelSettings]
    size: int


class Overlays:
    """The folders of overridden models, below one that only this user can enter and that goes with the process.

    ``repository`` makes the repository that reads such a folder; at most ``max_bytes`` of uploaded files are kept at a
    time, 0 meaning that none may be uploaded. ``schemes`` are those of the URIs that clients may name instead.
    """

    def __init__(
        self, repository: Callable[[Path], ModelRepository], max_bytes: int, schemes: Collection[str] = ()
    ) -> None:
        self._repository = repository
        self._max_bytes = max_bytes
        self._schemes = schemes
        self._kept_bytes = 0
        self._home: TemporaryDirectory[str] | None = None

    async def make(self, name: str, overrides: Overrides, base: Scan) -> Overlay:
        """``name`` with ``overrides`` over what ``base`` found of it.

        Raises OIPError, leaving nothing behind: InvalidArgumentError for what cannot be a model, ResourceExhaustedError
        where the files are too many bytes.
        """
        if complaint := wrong_name(name):
            raise InvalidArgumentError(complaint)
        size = sum(map(len, overrides.files.values()))
        self._require_room(size)
        if overrides.uri is not None:
            self._require_allowed(overrides.uri)
        overlay = Overlay(self._new_folder(), [], size)
        self._kept_bytes += size
        try:
            await asyncio.to_thread(_write, overlay.folder / name, overrides, base, name)
            scan = await self._repository(overlay.folder).look(name)
            if problems := scan.problems:
                raise InvalidArgumentError("; ".join(problems))
            overlay.models = scan.of(name)
            if overrides.replaces:
                _check_paths(overlay)
        except BaseException as error:
            await self.remove(overlay)
            if isinstance(
                error, OSError | ValueError
            ):  # a name no file can have, a file that is a folder too, a full disk
                why = error.strerror if isinstance(error, OSError) else error
                raise InvalidArgumentError(f"its files cannot be written: {why}") from error
            raise
        return overlay

    async def remove(self, overlay: Overlay) -> None:
        """Delete the files of ``overlay``, once nothing loaded needs them any more."""
        self._kept_bytes -= overlay.size
        await asyncio.to_thread(shutil.rmtree, overlay.folder, ignore_errors=True)

    async def close(self) -> None:
        """Delete everything."""
        home, self._home = self._home, None
        if home is not None:
            await asyncio.to_thread(home.cleanup)

    def _new_folder(self) -> Path:
        try:
            if self._home is None:
                self._home = TemporaryDirectory(prefix="oipserver-")
            return Path(mkdtemp(dir=self._home.name))
        except OSError as error:
            raise InternalError(f"there is no place for a model's files: {error.strerror}") from error

    def _require_allowed(self, uri: str) -> None:
        scheme = uri.partition(":")[0].lower() if ":" in uri else ""
        if scheme not in self._schemes:
            allowed = (
                f"its pull_uri_schemes are {', '.join(self._schemes)}"
                if self._schemes
                else "it has no pull_uri_schemes"
            )
            raise UnsupportedError(f"this server fetches no models from URIs of scheme '{scheme}': {allowed}")

    def _require_room(self, size: int) -> None:
        if size and not self._max_bytes:
            raise UnsupportedError("this server takes no uploaded model files: its max_uploaded_bytes is 0")
        if size and self._kept_bytes + size > self._max_bytes:
            raise ResourceExhaustedError(
                f"uploaded files of {size} bytes do not fit: {self._kept_bytes} bytes are kept of at most "
                f"{self._max_bytes} (max_uploaded_bytes)"
            )


def check_file(path: str) -> str:
    """``path``, that of an uploaded file in its model's folder. Raises InvalidArgumentError where it may lead out."""
    parts = path.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or "\\" in path or "\0" in path:
        raise InvalidArgumentError(f"Invalid file parameter 'file:{path}' must stay within model directory.")
    return path


def _write(folder: Path, overrides: Overrides, base: Scan, name: str) -> None:
    """Fill the model's folder. Raises OSError and InvalidArgumentError."""
    folder.mkdir(mode=0o700)
    for path, content in overrides.files.items():
        target = folder / check_file(path)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.write_bytes(content)
    if overrides.uri is not None:
        if overrides.files:
            raise InvalidArgumentError("'uri' and files are both the whole model: expected one of them")
        fetch(overrides.uri, folder)
    if overrides.config is None:
        return
    if overrides.replaces:
        if overrides.describes:
            raise InvalidArgumentError(
                f"'config' and a {MODEL_SETTINGS_FILE}, a {CONFIGURATION_FILE} or 'uri' describe it twice"
            )
        _write_config(folder, overrides.config)
    elif (source := _triton_folder(base, name)) is not None:
        _link_entries(source, folder, except_for=CONFIGURATION_FILE)
        _write_config(folder, overrides.config)
    else:
        _write_settings(folder, overrides.config, base.of(name))


def _triton_folder(base: Scan, name: str) -> Path | None:
    """The folder of a model in Triton's layout; None for one that its own settings describe, or a bare file."""
    folders = {place for place in base.places.get(name, ()) if place.is_dir()}
    if len(folders) != 1 or any(model.source for model in base.of(name)):
        return None
    return folders.pop()


def _write_config(folder: Path, config: str) -> None:
    from google.protobuf import text_format  # only where a client brings a configuration

    message = to_message(_parsed(config))
    (folder / CONFIGURATION_FILE).write_text(text_format.MessageToString(message), encoding="utf-8")


def _parsed(config: str) -> object:
    try:
        return json.loads(config)
    except ValueError as error:
        raise InvalidArgumentError(f"'config' is not JSON: {error}") from None
    except RecursionError:
        raise InvalidArgumentError("'config' is nested too deeply") from None


def _write_settings(folder: Path, config: str, models: list[ModelSettings]) -> None:
    """Describe each version by its own settings with ``config`` as configuration; artefacts stay where they are."""
    configuration = _parsed(config)
    for model in models:
        place = folder if len(models) == 1 else folder / model.version
        place.mkdir(mode=0o700, exist_ok=True)
        if model.source:
            _link_entries(Path(model.source).parent, place, except_for=MODEL_SETTINGS_FILE)
        told = model.model_dump(exclude_unset=True, mode="json") | {"name": model.name, "configuration": configuration}
        (place / MODEL_SETTINGS_FILE).write_text(json.dumps(told), encoding="utf-8")


def _link_entries(source: Path, folder: Path, *, except_for: str) -> None:
    for entry in os.listdir(source):
        if entry != except_for and not (folder / entry).exists():
            (folder / entry).symlink_to(source / entry)


def _check_paths(overlay: Overlay) -> None:
    """Uploaded settings may name what was uploaded with them and nothing else on this machine."""
    for model in overlay.models:
        told = model.parameters
        for path in (told.uri, told.environment_path, told.environment_tarball):
            if path and os.path.isabs(path) and not Path(os.path.normpath(path)).is_relative_to(overlay.folder):
                raise InvalidArgumentError(f"its settings name {path}, which was not uploaded with them")
