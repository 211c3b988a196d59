"""Requirements as pip reads them and as words of a shell: which name files, and how they are quoted; reads no file."""

from __future__ import annotations

import re
import shlex

_NAMES_FILES = re.compile(
    r"^\s*(-r|-c|-e|--requirement|--constraint|--editable|\.|/|file:|[^#]*@\s*file:)", re.MULTILINE
)
_OWN_FOLDER = re.compile(r"^\s*(?:-e\s*|--editable[\s=]+)?\./?(?:\[[^\]]*\])?\s*(?:[;#].*)?$", re.MULTILINE)
_PLAIN = re.compile(r"\w[\w.@+/ -]*")


def names_files(text: str) -> bool:
    """Whether a requirement, or some line of a file of them, names a file: it can be read only where the folder is."""
    return _NAMES_FILES.search(text) is not None


def names_own_folder(text: str) -> bool:
    """Whether a requirement, or some line of a file of them, is the project in the folder where it stands."""
    return _OWN_FOLDER.search(text) is not None


def is_plain(path: str) -> bool:
    """Whether a builder takes a path for what it is: others have patterns and variables in them."""
    return _PLAIN.fullmatch(path) is not None


def shell_words(requirement: str) -> str:
    """A requirement quoted for a shell; options, as environment files may have them, are several words."""
    if not requirement.startswith("-"):
        return shlex.quote(requirement)
    try:
        return shlex.join(shlex.split(requirement))
    except ValueError:  # an open quote: pip is to say so
        return shlex.quote(requirement)
