"""``oipserver dockerfile``: the Dockerfile of a folder of models, to be kept and changed; builds nothing."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from ..build import DOCKERIGNORE, WHEELHOUSE, dockerfile, is_ours
from ..errors import AlreadyExistsError, InvalidArgumentError
from .image_options import add_image_options, image_of
from .parser import Parser


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code. Raises OIPError and UsageError."""
    parser = Parser("oipserver dockerfile", "Write the Dockerfile of a folder of models.")
    add_image_options(parser)
    parser.add_argument("-i", "--include-dockerignore", action="store_true", help="write a .dockerignore as well")
    parser.add_argument("-f", "--force", action="store_true", help="overwrite a Dockerfile that is not ours")
    namespace = parser.parse(arguments)
    needs, options = image_of(namespace)
    folder: Path = namespace.folder
    written = [write_dockerfile(folder / "Dockerfile", dockerfile(needs, options), force=namespace.force)]
    if namespace.include_dockerignore:
        ignore = folder / ".dockerignore"
        if namespace.force or not os.path.lexists(ignore):
            written.append(write(ignore, DOCKERIGNORE))
    outside = options.wheelhouse_outside(needs.folder)
    contexts = ["--build-context", f"{WHEELHOUSE}={outside}"] if outside else []
    command = shlex.join(["docker", "build", "-t", "TAG", *contexts, str(folder)])
    print(f"wrote {' and '.join(map(str, written))}\n\n  {command}")
    return 0


def write_dockerfile(path: Path, text: str, *, force: bool = False) -> Path:
    """Write a Dockerfile, over one that this command has written. Raises AlreadyExistsError over any other."""
    if not force and not may_write(path):
        raise AlreadyExistsError(f"{path} was not written by this command: nothing was written; --force overwrites it")
    return write(path, text)


def may_write(path: Path) -> bool:
    """Whether a Dockerfile can be written there without loss: nothing is, or a file that this command has written."""
    if not os.path.lexists(path):
        return True
    try:  # a link may lead anywhere
        return not path.is_symlink() and is_ours(path.read_text(errors="replace"))
    except OSError:
        return False


def write(path: Path, text: str) -> Path:
    """Write a file and return its path. Raises InvalidArgumentError where that cannot be."""
    try:
        path.write_text(text)
    except OSError as error:
        raise InvalidArgumentError(f"cannot write {path}: {error.strerror}") from None
    return path
