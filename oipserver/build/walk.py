"""The folders below a folder of models, as an image is to have them; knows no model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..repository.layout import ENVIRONMENT_MARKS


def folders_below(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """``root`` and every folder below with its files and links, by name; none that is hidden or a Python environment,
    and no link is followed."""
    for place, folders, files in os.walk(root):
        path = Path(place)
        if path != root and not ENVIRONMENT_MARKS.isdisjoint([*folders, *files]):
            folders.clear()
            continue
        links = [name for name in folders if (path / name).is_symlink()]
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield path, sorted([*files, *links])


def links_out(root: Path) -> list[str]:
    """Links, relative to ``root``, to what lies outside of it: an image gets the link but not what it leads to."""
    real = root.resolve()
    return [
        (path / name).relative_to(root).as_posix()
        for path, names in folders_below(root)
        for name in names
        if (path / name).is_symlink() and not (path / name).resolve().is_relative_to(real)
    ]
