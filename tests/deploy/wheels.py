"""Packages whose wheels the tests read and do not install, since they bring what others here cannot live with."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest


@cache
def wheel(requirement: str, variable: str) -> Path:
    """The wheel of ``requirement`` (``name==version``): that of ``$variable``, or fetched once into the user's cache,
    in CI. Skips elsewhere.
    """
    if given := os.environ.get(variable):
        return Path(given)
    name, _, version = requirement.partition("==")
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "oipserver-tests" / name
    if found := sorted(folder.glob(f"*-{version}-*.whl")):
        return found[0]
    if os.environ.get("CI", "").lower() not in ("1", "true"):
        pytest.skip(f"set {variable} to a wheel (pip download --no-deps {requirement}), or CI=true to have it fetched")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), requirement]
    subprocess.run(command, check=True, timeout=120)
    return next(folder.glob(f"*-{version}-*.whl"))
