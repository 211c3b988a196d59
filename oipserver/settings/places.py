"""Whether text says where something lies on this machine, or elsewhere; touches no file."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # two letters at least: "c:/" is a drive


def local_path(text: str) -> Path | None:
    """The path on this machine that ``text`` is, plain or as a ``file:`` URI; None for the address of something
    elsewhere, such as ``s3://...`` or ``models:/...``."""
    if text.lower().startswith("file:/"):
        return Path(unquote(urlsplit(text).path))
    return None if _SCHEME.match(text) else Path(text)
