"""Folders that become visible at once and whole, or never: staging, fsync, rename; knows no model."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Hidden, and its folders one level further down: whoever looks for models finds none in here.
STAGING = ".staging"
_LOCK = ".lock"


@contextmanager
def staged(root: Path) -> Iterator[Path]:
    """An empty folder below ``root``, on its file system; what is left of it in the end is deleted.

    A lock file beside it is held meanwhile, so that the next writer can tell the leavings of a process that died from
    the work of one that lives. Raises OSError.
    """
    place = root / STAGING
    place.mkdir(parents=True, exist_ok=True)
    _sweep(place)
    folder = place / uuid.uuid4().hex
    with folder.with_suffix(_LOCK).open("wb") as lock:
        # A sweeper may have this file for a moment: it finds no folder then, since there is none before we hold it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            Path(lock.name).unlink(missing_ok=True)


def _sweep(place: Path) -> None:
    """Delete what writers that died left behind."""
    for path in place.glob(f"*{_LOCK}"):
        with suppress(OSError), path.open("rb") as lock:  # gone meanwhile, or held: somebody is at work
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
            path.unlink(missing_ok=True)


def publish(folder: Path, target: Path) -> bool:
    """Move ``folder``, whole and on disk, to ``target``; False where there is something already. Raises OSError."""
    sync_tree(folder)
    while True:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():  # rename would take the place of an empty folder
            return False
        try:
            folder.rename(target)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                return False
            if error.errno == errno.ENOENT and folder.exists():  # the last version left meanwhile, and its folder too
                continue
            raise
        sync_folder(target.parent)
        sync_folder(target.parent.parent)
        return True


def remove(folder: Path, root: Path) -> None:
    """Make ``folder`` vanish at once, and then delete it. Raises OSError, FileNotFoundError where it is gone."""
    with staged(root) as place:
        folder.rename(place / "gone")
        sync_folder(folder.parent)


def write_file(path: Path, text: str) -> None:
    """Put ``text`` in place of whatever ``path`` held, at once. Raises OSError."""
    scratch = path.with_name(f".{uuid.uuid4().hex}")
    try:
        with scratch.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_tree(folder: Path) -> None:
    """Have everything below ``folder`` on disk, but not what links there lead to. Raises OSError."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            if not path.is_symlink():
                _sync(path, os.O_RDONLY)
        sync_folder(Path(parent))


def sync_folder(folder: Path) -> None:
    """Have the names in ``folder`` on disk. Raises OSError."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
