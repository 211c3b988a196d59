"""Container tools for tests: podman, a base image without a registry, and wheels; installs them only in CI, as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
REQUIRE = "OIPSERVER_REQUIRE_CONTAINERS"
PACKAGES = ("podman", "runc", "mmdebstrap", "netavark", "iptables", "catatonit")
PROGRAMS = ("podman", "runc", "mmdebstrap")

# The base image must have the Python that the wheels are made for.
_SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}
_TRUE = ("1", "true")

# Engines need no more than this where neither systemd nor the right to raise limits is there.
_CONFIGURATION = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
netns = "host"
[engine]
runtime = "runc"
"""


class MissingError(Exception):
    """No image can be built here; the message says why."""


def is_required() -> bool:
    """Whether tests of images must run: a machine that cannot is then a failure."""
    return os.environ.get(REQUIRE, "").lower() in _TRUE


def prepare(folder: Path) -> dict[str, str]:
    """The environment in which podman works, with its configuration in ``folder``. Raises MissingError."""
    if sys.version_info[:2] not in _SUITES:
        raise MissingError("there is a base image for Python 3.11 and 3.13 only")
    if os.geteuid():
        raise MissingError("making a base image takes root")
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        if os.environ.get("CI", "").lower() not in _TRUE and not is_required():
            raise MissingError(f"{', '.join(missing)} not installed; CI=true or {REQUIRE}=true installs them")
        _install()
    path = folder / "containers.conf"
    path.write_text(_CONFIGURATION)
    return {**os.environ, "CONTAINERS_CONF": str(path)}


def base_image(folder: Path, environment: dict[str, str]) -> str:
    """A Debian with Python and nothing else, made once per machine. Raises MissingError."""
    suite = _SUITES[sys.version_info[:2]]
    name = f"localhost/oipserver-test-base:{suite}"
    if subprocess.run(["podman", "image", "exists", name], env=environment, check=False).returncode == 0:
        return name
    tarball = folder / "base.tar"
    sources = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
    _run(
        ["mmdebstrap", "--variant=minbase", "--mode=root", "--include=python3,python3-venv,ca-certificates"]
        + [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("man", "doc", "locale")]
        + ['--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/etc/apt/sources.list* "$1"/etc/resolv.conf']
        + [suite, str(tarball), *(str(path) for path in sources if path.exists())],
        environment,
    )
    _run(["podman", "import", "--change", "ENV PATH=/usr/local/bin:/usr/bin:/bin", str(tarball), name], environment)
    tarball.unlink()
    _run(["podman", "run", "--rm", name, "true"], environment)
    return name


def wheelhouse(folder: Path, *requirements: str) -> Path:
    """A folder with the wheels of ``requirements`` and of all they need."""
    _run([sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(folder), *requirements], dict(os.environ))
    return folder


def _install() -> None:
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run([*apt, "update", "-qq"], environment)
    _run([*apt, "install", "--yes", "-qq", "--no-install-recommends", *PACKAGES], environment)


def _run(command: list[str], environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingError(f"{command[0]}: {error}") from None
    if done.returncode:
        raise MissingError(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-600:]}")
