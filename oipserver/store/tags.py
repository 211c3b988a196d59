"""Tags: how stored models and their versions are called, and versions that sort by time; touches no file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from ..errors import InvalidArgumentError

LATEST = "latest"

_SEPARATOR = re.compile(r"[:@]")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_EXPECTED = "expected letters, digits, '.', '_' and '-', at most 128 of them, with a letter or digit first"


@dataclass(frozen=True, slots=True)
class Tag:
    """``name:version`` of a stored model. ``version`` may be an alias or ``latest`` too; "" where none was given.

    Raises InvalidArgumentError for what cannot be either: both become names of folders.
    """

    name: str
    version: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.version:
            check_version(self.version)

    @classmethod
    def parse(cls, text: str) -> Tag:
        """From ``name``, ``name:version`` or ``name@alias``. Raises InvalidArgumentError saying what is wrong."""
        name, *rest = _SEPARATOR.split(text, maxsplit=1)
        if rest == [""]:
            raise InvalidArgumentError(f"'{text}' is no tag: there is nothing behind '{text[-1]}'")
        return cls(name, *rest)

    def __str__(self) -> str:
        return f"{self.name}:{self.version}" if self.version else self.name


def check_name(name: str) -> None:
    """Raises InvalidArgumentError for what cannot name a stored model."""
    if not _WORD.fullmatch(name):
        raise InvalidArgumentError(f"'{name}' cannot name a model: {_EXPECTED}")


def check_version(version: str) -> None:
    """Raises InvalidArgumentError for what can neither be a version nor an alias."""
    if not _WORD.fullmatch(version):
        raise InvalidArgumentError(f"'{version}' cannot be a version: {_EXPECTED}")


def check_new_version(version: str) -> None:
    """Raises InvalidArgumentError for what no version may be called."""
    check_version(version)
    if version == LATEST:
        raise InvalidArgumentError(f"no version can be called '{LATEST}': that means the newest one")


def version_at(moment: datetime) -> str:
    """A version made at ``moment``: its UTC time to the millisecond, in 17 digits. By number and by text, such versions
    sort by time; they fit in 64 bits."""
    return f"{moment:%Y%m%d%H%M%S}{moment.microsecond // 1000:03d}"


def next_version(version: str) -> str:
    """The version after one that ``version_at`` made, for where that is taken."""
    return str(int(version) + 1)
