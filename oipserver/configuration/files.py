"""Paths that a configuration names; opens nothing."""

from __future__ import annotations

from os.path import abspath, normpath
from pathlib import Path

from ..errors import InvalidArgumentError


def inside(folder: Path, name: str, field: str) -> Path:
    """The file ``name`` of ``folder``, a model's or one of its versions'.

    Links are followed wherever they lead: whoever fills the folder made them. Raises InvalidArgumentError where the
    name itself, the value of ``field``, leads out.
    """
    path = Path(normpath(Path(abspath(folder), name)))
    if "\0" in name or not path.is_relative_to(abspath(folder)):
        raise InvalidArgumentError(f"{field} '{name}' leads out of {folder}")
    return path
