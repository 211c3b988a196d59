"""Whether a model changed: a digest of its settings and of what the file system says of its files; reads no file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

from ..settings import ModelSettings
from .layout import FOREIGN_FOLDERS

# Bounds of a folder that is no model's alone, or a link in a circle.
MAX_ENTRIES = 20_000
MAX_DEPTH = 16


def fingerprint(models: Sequence[ModelSettings], places: Iterable[Path], others: frozenset[Path] = frozenset()) -> str:
    """A digest of one model: the settings of its versions, and path, size, time of change and inode of each file in
    ``places`` and of its artefacts elsewhere. What lies in ``others``, the places of other models, is not its own.

    Hidden files, compiled Python and installed packages do not count.
    """
    digest = blake2b(digest_size=16)
    roots = set(places)
    for model in sorted(models, key=lambda model: (model.name, model.version)):
        digest.update(model.model_dump_json(exclude_unset=True).encode())
        uri = model.parameters.uri
        if uri and os.path.isabs(uri):
            roots.add(Path(uri))
    left = MAX_ENTRIES
    for root in sorted(root for root in roots if not roots & set(root.parents)):
        for entry in _entries(root, others - roots):
            digest.update(entry.encode("utf-8", "surrogateescape"))
            left -= 1
            if not left:
                return digest.hexdigest()
    return digest.hexdigest()


def _entries(path: Path, others: frozenset[Path], depth: int = 0) -> Iterator[str]:
    """One line for ``path`` and everything below it; for what cannot be seen, a line that says so."""
    try:
        status = path.stat()
        names = sorted(os.listdir(path)) if path.is_dir() else None
    except OSError as error:
        yield f"{path} {error.errno}\n"
        return
    if names is None:
        yield f"{path} {status.st_size} {status.st_mtime_ns} {status.st_ino}\n"
        return
    yield f"{path}/\n"
    for name in names if depth < MAX_DEPTH else ():
        below = path / name
        if not (name.startswith(".") or name in FOREIGN_FOLDERS or name.endswith(".pyc") or below in others):
            yield from _entries(below, others, depth + 1)
