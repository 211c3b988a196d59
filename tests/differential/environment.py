"""Where MLServer is installed for the comparison; knows nothing of what is compared."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

VARIABLE = "OIPSERVER_TEST_MLSERVER"
#: Without the two caps MLServer 1.7.1 does not start its workers, and its pandas codec fails.
REQUIREMENTS = ["mlserver==1.7.1", "uvloop<0.22", "pandas<3"]
NEWEST_PYTHON = (3, 12)


class MissingError(Exception):
    """There is no MLServer to compare with; the message says why."""


def find() -> Path:
    """The folder of MLServer's environment. Raises MissingError where there is none and none may be, or can be, made.

    $OIPSERVER_TEST_MLSERVER names it. Without that one is made below the user's cache, but only in CI: a developer's
    test run should not download half a gigabyte unasked.
    """
    if given := os.environ.get(VARIABLE):
        folder = Path(given)
        if not (folder / "bin" / "mlserver").exists():
            raise FileNotFoundError(f"${VARIABLE} is {given!r}: expected an environment with bin/mlserver")
        return folder
    if os.environ.get("CI", "").lower() not in ("1", "true"):
        pip = f"pip install {' '.join(repr(each) for each in REQUIREMENTS)}"
        raise MissingError(
            f"set {VARIABLE} to a virtual environment with MLServer ({pip}), or CI=true to have one made"
        )
    if sys.version_info[:2] > NEWEST_PYTHON:
        raise MissingError(f"MLServer 1.7.1 runs on Python {'.'.join(map(str, NEWEST_PYTHON))} at most")
    return _made()


def _made() -> Path:
    """The environment below the cache, made where it is missing or of other versions."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "oipserver-tests" / f"mlserver-py{sys.version_info[0]}{sys.version_info[1]}"
    stamp, wanted = folder / "made-with", " ".join(REQUIREMENTS)
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], pip + REQUIREMENTS):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MissingError(f"MLServer's environment could not be made: {done.stderr.strip()[-300:]}")
    stamp.write_text(wanted)
    return folder
