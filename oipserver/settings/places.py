"""Whether text says where something lies on this machine, or elsewhere; touches no file."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # two letters at least: "c:/" is a drive
# The host is nobody's business, and there may be a query or a fragment. The standard library fails at some hosts.
_FILE = re.compile(r"file:(?://[^/?#]*)?(/[^?#]*).*", re.IGNORECASE | re.DOTALL)


def local_path(text: str) -> Path | None:
    """The path on this machine that ``text`` is, plain or as a ``file:`` URI; None for the address of something
    elsewhere, such as ``s3://...`` or ``models:/...``."""
    if found := _FILE.fullmatch(text):
        return Path(unquote(found[1]))
    return None if _SCHEME.match(text) else Path(text)
