"""Python environments that models bring along: unpacking them safely, and finding the interpreter; knows no pool."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections import defaultdict
from pathlib import Path

from ...errors import ModelLoadError
from .members import extract

MAX_MEMBERS = 1_000_000
MAX_BYTES = 64 << 30  # unpacked; a bomb is smaller packed, an environment with CUDA libraries is a tenth of this
_INTERPRETER = re.compile(r"(?:\./)?bin/python[\d.]*")
_UNPACK_TIMEOUT = 600.0  # seconds conda-unpack may take


class Environments:
    """Unpacked environments, each in a folder named by the SHA-256 of the file it came from, so that a changed file is
    another environment and an unchanged one is unpacked once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def interpreter_of(self, tarball: Path, model: str) -> Path:
        """The interpreter of the environment packed in ``tarball``. Raises ModelLoadError naming ``model``."""
        try:
            digest = await asyncio.to_thread(_digest, tarball)
            target = self._folder.resolve() / digest
            async with self._locks[digest]:
                if not target.exists():
                    await asyncio.to_thread(_unpack, tarball, target)
        except (OSError, tarfile.TarError, EOFError, ValueError, subprocess.SubprocessError) as error:
            what = f"{type(error).__name__}: {error}"
            raise ModelLoadError(f"model '{model}': cannot unpack environment_tarball {tarball}: {what}") from error
        return interpreter_in(target, model)


def interpreter_in(folder: Path, model: str) -> Path:
    """The interpreter of the environment in ``folder``. Raises ModelLoadError naming ``model`` where there is none."""
    for name in ("python", "python3"):
        path = folder / "bin" / name
        if os.access(path, os.X_OK):
            return path
    raise ModelLoadError(f"model '{model}': no Python environment in {folder}: it has no bin/python")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(tarball: Path, target: Path) -> None:
    """Unpack beside ``target`` and move it there when all went well: another server may be doing the same."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unpacking-") as scratch:
        folder = Path(scratch) / "environment"
        folder.mkdir()
        _extract(tarball, folder)
        try:
            folder.rename(target)
        except OSError:
            if not target.exists():
                raise
            return
    try:
        _relocate(target)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _extract(tarball: Path, folder: Path) -> None:
    """Extract with limits, and nothing that leaves ``folder``: no absolute path, no link or device out of it.

    The interpreter alone may be a link to one of this machine, as venv-pack leaves it. It is made last, so that nothing
    can be written where it leads.
    """
    count = size = 0
    interpreters: dict[str, str] = {}
    with tarfile.open(tarball, "r:*") as archive:
        for member in archive:
            count, size = count + 1, size + member.size
            if count > MAX_MEMBERS or size > MAX_BYTES:
                raise ValueError(f"it holds more than {MAX_MEMBERS} files or {MAX_BYTES} bytes")
            if member.issym() and os.path.isabs(member.linkname) and _INTERPRETER.fullmatch(member.name):
                interpreters[member.name] = member.linkname
            else:
                extract(archive, member, folder)
    for name, target in interpreters.items():
        if not os.access(target, os.X_OK):
            raise ValueError(f"its {name} is {target}, which is not on this machine")
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(target)


def _relocate(folder: Path) -> None:
    """Let a packed conda environment adapt itself to where it lies now."""
    script = folder / "bin" / "conda-unpack"
    if script.exists():
        interpreter = interpreter_in(folder, folder.name)
        subprocess.run([interpreter, script], check=True, timeout=_UNPACK_TIMEOUT, stdin=subprocess.DEVNULL)
