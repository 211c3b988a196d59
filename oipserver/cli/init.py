"""``oipserver init``: a folder with a model that works, to be changed into one's own; reaches no network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import AlreadyExistsError, InvalidArgumentError
from .parser import Parser
from .skeleton import FILES

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code. Raises OIPError and UsageError."""
    parser = Parser("oipserver init", "Make the folder of a model to start from.")
    parser.usage = "oipserver init FOLDER"
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the folder to make; the model gets its name")
    folder: Path = parser.parse(arguments).folder
    make_project(folder)
    print(f"made {folder}: {', '.join(FILES)}\n\n  oipserver start {folder}")
    return 0


def make_project(folder: Path) -> None:
    """Write the files of a new project into ``folder``, which must be empty or not be there.

    Raises InvalidArgumentError for a name no model can have and where it cannot be written, AlreadyExistsError.
    """
    name = folder.absolute().name
    if not _NAME.fullmatch(name):
        raise InvalidArgumentError(f"'{name}' cannot name a model: expected letters, digits, '.', '_' and '-'")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise AlreadyExistsError(f"{folder} is not empty: nothing was written")
        for file, text in FILES.items():
            (folder / file).write_text(text.replace("@NAME@", name))
    except FileExistsError:
        raise AlreadyExistsError(f"{folder} is a file: nothing was written") from None
    except OSError as error:
        raise InvalidArgumentError(f"cannot write {folder}: {error.strerror}") from None
