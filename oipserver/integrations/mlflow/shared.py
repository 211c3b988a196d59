"""A repository folder that the server and we both see: models are placed there whole, or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from ...protocol.names import RESERVED_PREFIX
from ...repository.triton_layout import CONFIGURATION_FILE
from ...store.staging import sync_folder, sync_tree
from .bundle import NOTES_FILE, Bundle
from .failures import broken, exists, wrong
from .progress import Progress

# Hidden from servers: no model is looked for in it.
_WORKSHOP = RESERVED_PREFIX
_FORGOTTEN = 24 * 3600.0  # seconds after which a workshop's folder is nobody's any more
_PIECE = 1 << 20
#: The whole configuration that NVIDIA's plugin writes where none was logged.
_OTHER_PLUGIN = 'backend: "onnxruntime" default_model_filename: "'


class SharedRepository:
    """The folder at ``root``. Everything raises MlflowException."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def require(self) -> None:
        """Raises MlflowException where models cannot be placed here."""
        if not self.root.is_dir():
            raise wrong(f"the repository {self.root} is no folder here")

    def holds(self, name: str) -> bool:
        """Whether there is a folder of this name."""
        return self._folder(name).is_dir()

    def notes(self, name: str) -> dict[str, str]:
        """Where the model came from, told by whichever plugin placed it; {} where nobody did."""
        try:
            told = json.loads((self._folder(name) / NOTES_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in told.items()} if isinstance(told, dict) else {}

    @contextmanager
    def placed(
        self, bundle: Bundle, progress: Progress, *, replace: bool, link: bool, movable: bool, keep: int
    ) -> Iterator[None]:
        """``bundle`` in the repository; as it was before where the inside fails.

        ``link``: files are linked to instead of copied, or moved where they are ``movable``. ``keep``: so many older
        versions stay beside the new one. Without ``replace`` the name must be free.
        """
        workshop = self._workshop()
        fresh, old = workshop / f"new-{uuid4().hex}", workshop / f"old-{uuid4().hex}"
        target = self._folder(bundle.name)
        replaced = False
        try:
            self._fill(fresh, bundle, progress, link=link, movable=movable)
            if replace and target.is_dir():
                _keep_versions(target, fresh, bundle.version, keep)
                os.rename(target, old)
                replaced = True
            self._publish(fresh, target, bundle.name)
            try:
                yield
            except BaseException:
                os.rename(target, fresh)
                if replaced:
                    os.rename(old, target)
                sync_folder(self.root)
                raise
        except OSError as error:
            if replaced and not target.exists():
                os.rename(old, target)
            raise broken(f"the repository {self.root} cannot be written: {error.strerror or error}") from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            if target.exists():
                shutil.rmtree(old, ignore_errors=True)
            with suppress(OSError):
                workshop.rmdir()  # unless somebody else is at work

    def remove(self, name: str, *, force: bool) -> bool:
        """Delete what a plugin placed, ours or NVIDIA's, also what the latter leaves behind; whether there was any.

        A folder that somebody else made stays, unless ``force``.
        """
        folder = self._folder(name)
        if not folder.is_dir() or not (force or self.notes(name) or _is_debris(folder)):
            return False
        workshop = self._workshop()
        gone = workshop / f"old-{uuid4().hex}"
        try:
            os.rename(folder, gone)  # at once: no server sees half of it
        except OSError as error:
            raise broken(f"{folder} cannot be removed: {error.strerror}") from error
        shutil.rmtree(gone, ignore_errors=True)
        with suppress(OSError):
            workshop.rmdir()
        return True

    # -- steps -------------------------------------------------------------------------------------------------------

    def _folder(self, name: str) -> Path:
        return self.root / name

    def _workshop(self) -> Path:
        """The place for what is not finished, on the repository's own disk; rid of what a crash left there."""
        folder = self.root / _WORKSHOP
        try:
            folder.mkdir(exist_ok=True)
            for left in folder.iterdir():
                if time.time() - left.stat().st_mtime > _FORGOTTEN:
                    shutil.rmtree(left, ignore_errors=True)
        except FileNotFoundError:  # another deployment has just tidied up
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise broken(f"the repository {self.root} cannot be written: {error.strerror}") from error
        return folder

    def _fill(self, fresh: Path, bundle: Bundle, progress: Progress, *, link: bool, movable: bool) -> None:
        described, text = bundle.description()
        notes = {**bundle.notes, "triton_model_path": str(self._folder(bundle.name))}
        fresh.mkdir()
        for path, source in bundle.files.items():
            target = fresh / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if link and movable:
                shutil.move(source, target)
            elif link:
                target.symlink_to(source.resolve())
            else:
                _copy(source, target, progress)
        for name, content in ((described, text), (NOTES_FILE, json.dumps(notes, indent=2).encode())):
            (fresh / name).write_bytes(content)
        sync_tree(fresh)  # a crash leaves all of it or no model

    def _publish(self, fresh: Path, target: Path, name: str) -> None:
        try:
            os.rename(fresh, target)  # fails where there is anything in a folder of that name
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise exists(name) from error
            raise
        sync_folder(self.root)


def _copy(source: Path, target: Path, progress: Progress) -> None:
    with source.open("rb") as old, target.open("wb") as new:
        while piece := old.read(_PIECE):
            new.write(piece)
            progress.add(len(piece))


def _keep_versions(old: Path, fresh: Path, version: str, keep: int) -> None:
    """Have the ``keep`` newest versions in ``old`` in ``fresh`` too, by links to the same files."""
    numbers = [int(path.name) for path in old.iterdir() if path.is_dir() and path.name.isdecimal()]
    for number in sorted(numbers, reverse=True)[:keep]:
        if str(number) != version and not (fresh / str(number)).exists():
            shutil.copytree(old / str(number), fresh / str(number), copy_function=os.link, symlinks=True)


def _is_debris(folder: Path) -> bool:
    """Whether all that is here is what NVIDIA's plugin leaves of a model that it says it deleted."""
    try:
        text = " ".join((folder / CONFIGURATION_FILE).read_text(encoding="utf-8").split())
    except (OSError, ValueError):
        return False
    others = {path.name for path in folder.iterdir() if path.suffix != ".txt"} - {"1", CONFIGURATION_FILE}
    return text.startswith(_OTHER_PLUGIN) and text.count(":") == 2 and not others
