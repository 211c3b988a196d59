"""Where Triton is for the comparison; knows nothing of what is compared."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "OIPSERVER_TEST_TRITON"
#: Its Python backend reads arrays of NumPy 1 only.
REQUIREMENTS = ["nvidia-pytriton==0.7.0", "numpy==1.26.4"]
VERSION = "2.51.0"


class MissingError(Exception):
    """There is no Triton to compare with; the message says why."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A tritonserver that can be started: its binary, its backends, and the environment it needs."""

    binary: Path
    backends: Path
    environ: dict[str, str]


def find(folder: Path) -> Installed:
    """The Triton in the virtual environment that $OIPSERVER_TEST_TRITON names, made startable in ``folder``.

    Raises MissingError where the variable is not set or Triton's Python backend does not know the environment's Python.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        pip = f"pip install --no-deps {' '.join(REQUIREMENTS)}"
        raise MissingError(f"set {VARIABLE} to a virtual environment with Triton ({pip})")
    packages = sorted(Path(given).glob("lib/python3.*/site-packages"))
    if not packages or not (packages[0] / "pytriton" / "tritonserver").is_dir():
        raise FileNotFoundError(f"${VARIABLE} is {given!r}: expected an environment with {REQUIREMENTS[0]}")
    root = packages[0] / "pytriton" / "tritonserver"
    version = packages[0].parent.name.removeprefix("python")
    stub = root / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.exists():
        raise MissingError(f"Triton's Python backend in {given} is not made for Python {version}")
    backends = folder / "backends"
    shutil.copytree(root / "backends", backends)
    shutil.copy(stub, backends / "python")
    binary = Path(shutil.copy(root / "bin" / "tritonserver", folder))
    # Packages that were unpacked by other tools than pip have lost the right to be executed.
    for each in (binary, backends / "python" / stub.name):
        each.chmod(0o755)
    # The backend's process finds its packages by the first interpreter on PATH, and heeds no PYTHONPATH.
    search = f"{Path(given, 'bin')}:{os.environ.get('PATH', '')}"
    return Installed(binary, backends, {"LD_LIBRARY_PATH": str(packages[0] / "nvidia_pytriton.libs"), "PATH": search})
