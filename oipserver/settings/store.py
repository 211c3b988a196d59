"""Where the model store of this user is; looks at no file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

STORE_VARIABLE = "OIPSERVER_HOME"


def store_folder(environ: Mapping[str, str] | None = None) -> Path:
    """``$OIPSERVER_HOME/models`` of ``environ``, by default this process's; without it ``~/.oipserver/models``."""
    home = (os.environ if environ is None else environ).get(STORE_VARIABLE)
    return Path(home).expanduser() / "models" if home else Path.home() / ".oipserver" / "models"
