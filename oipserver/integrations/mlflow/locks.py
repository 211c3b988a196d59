"""One deployment of a name at a time on this machine; knows no server."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir


@contextmanager
def alone(*what: str) -> Iterator[None]:
    """Inside, no other process of this user is inside with the same ``what``; waits for it."""
    digest = hashlib.sha256("\0".join(what).encode()).hexdigest()[:32]
    path = Path(gettempdir(), f"oipserver-mlflow-{os.getuid()}-{digest}.lock")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
