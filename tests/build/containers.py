"""Container tools for tests: podman, base images without a registry, and wheels; installs tools only in CI, as root."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = ("podman", "runc", "mmdebstrap")
PACKAGES = (*PROGRAMS, "netavark", "iptables", "catatonit")

# The releases of Debian and Ubuntu there can be base images of, with their Python.
PYTHONS = {"bookworm": "3.11", "trixie": "3.13", "noble": "3.12"}
# Another release of the same distribution, so that images are seen to stand on more than one.
_OTHER = {"bookworm": "trixie"}
_PATHS = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WHEELS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014", "manylinux1")

# Engines need no more than this where neither systemd nor the right to raise limits is there.
_CONFIGURATION = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
netns = "host"
[engine]
runtime = "runc"
"""


class MissingError(Exception):
    """No image can be built here; the message says what is missing and how to get it."""


@dataclass(frozen=True)
class Base:
    """An image of a distribution: its name, and the Python as "3.11" that the distribution has."""

    name: str
    python: str


def in_ci() -> bool:
    """Whether this is a run that must not leave images out."""
    return os.environ.get("CI", "").lower() in ("1", "true")


def give_up(error: MissingError) -> NoReturn:
    """A failure in CI, and elsewhere a skip, which says the same."""
    if in_ci():
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    raise pytest.skip.Exception(str(error)) from None


def prepare(folder: Path) -> dict[str, str]:
    """The environment in which podman works, with its configuration in ``folder``. Raises MissingError."""
    tried = _install(os.environ["PATH"]) if _missing() and in_ci() else ""
    if missing := _missing():
        raise MissingError(
            f"not installed: {', '.join(missing)}. On Debian and Ubuntu, apt-get install {' '.join(PACKAGES)} brings "
            f"all that images are built with; {tried or 'CI=true does that by itself'}"
        )
    if os.geteuid():
        raise MissingError("making a base image takes root: run these tests as root")
    path = folder / "containers.conf"
    path.write_text(_CONFIGURATION)
    return {**os.environ, "CONTAINERS_CONF": str(path)}


def base_image(folder: Path, environment: dict[str, str]) -> Base:
    """This machine's distribution with Python and nothing else, made once per machine. Raises MissingError."""
    return _base(folder, environment, _release(), "base", "python3,python3-venv,ca-certificates")


def bare_image(folder: Path, environment: dict[str, str]) -> Base:
    """A distribution as CUDA's images have it, with apt but no Python; another release than this machine's where that
    can be had. Raises MissingError."""
    return _base(folder, environment, _OTHER.get(_release(), _release()), "bare", "apt,ca-certificates")


def wheelhouse(folder: Path, python: str, *requirements: str) -> Path:
    """A folder with the wheels of this server with ``requirements`` for a Python, and of all they need."""
    pip = [sys.executable, "-m", "pip"]
    _run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], dict(os.environ), 100)
    (ours,) = folder.glob("oipserver-*.whl")
    kinds = [f"--platform={each}_{platform.machine()}" for each in _WHEELS]
    command = [*pip, "download", "--quiet", f"--python-version={python}", "--only-binary=:all:", *kinds]
    named = [each.replace("oipserver", str(ours), 1) for each in requirements]
    _run([*command, "--dest", str(folder), *named], dict(os.environ), 150)
    return folder


def _missing() -> list[str]:
    return [name for name in PROGRAMS if shutil.which(name) is None]


@cache
def _install(_path: str) -> str:
    """Install what a PATH misses; returns what came of it. Once, as an apt without network keeps one waiting."""
    if os.geteuid() or shutil.which("apt-get") is None:
        return "that takes root, and apt-get"
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=60", "-o", "Acquire::http::Timeout=15", "-o", "Acquire::Retries=1"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    complaints = []
    for words, seconds in ((("update",), 60), (("install", "--yes", "--no-install-recommends", *PACKAGES), 180)):
        try:  # without an update, the lists may be good enough as they are
            _run([*apt, "-qq", *words], environment, seconds)
        except MissingError as error:
            complaints.append(str(error))
    return f"that was tried: {'; '.join(complaints)}"


def _release() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    names = [line.partition("=")[2].strip('"') for line in lines if line.startswith("VERSION_CODENAME=")]
    if not names or names[0] not in PYTHONS:
        raise MissingError(f"no base image can be made here: run this on one of {', '.join(PYTHONS)}")
    return names[0]


def _base(folder: Path, environment: dict[str, str], release: str, kind: str, packages: str) -> Base:
    image = f"localhost/oipserver-test-{kind}:{release}"
    exists = ["podman", "image", "exists", image]
    if subprocess.run(exists, env=environment, check=False).returncode:
        _make(folder, environment, release, image, packages)
    _run(["podman", "run", "--rm", image, "true"], environment, 60)  # some machines have podman, but not the rights
    return Base(image, PYTHONS[release])


def _make(folder: Path, environment: dict[str, str], release: str, image: str, packages: str) -> None:
    """Make an image of a distribution's release with ``packages``, from where this machine has its own."""
    wanted = ["--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    lines = [line.split() for line in _run(["apt-get", "indextargets", *wanted], environment, 30).splitlines()]
    ours = [(words[0], words[2]) for words in lines if words[1] == _release()]
    if not ours:
        raise MissingError(f"apt has no source of {_release()}: the base image is made from that")
    mirror = ours[0][0]
    components = ",".join(dict.fromkeys(component for uri, component in ours if uri == mirror))
    tarball = folder / "base.tar"
    without = [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("man", "doc", "locale")]
    command = ["mmdebstrap", "--variant=minbase", "--mode=root", f"--components={components}", *without]
    hook = '--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/etc/resolv.conf'
    _run([*command, f"--include={packages}", hook, release, str(tarball), mirror], environment, 200)
    _run(["podman", "import", "--change", _PATHS, str(tarball), image], environment, 60)
    tarball.unlink()


def _run(command: list[str], environment: dict[str, str], seconds: int) -> str:
    """What a command prints. Raises MissingError where it fails, or takes longer, for which all of it is ended."""
    limited = ["timeout", "--kill-after=5", str(seconds), *command]
    done = subprocess.run(limited, env=environment, capture_output=True, text=True, check=False)
    what = " ".join(word for word in command if word[0] not in "-/" and "::" not in word)[:60]
    if done.returncode in (124, 137):
        raise MissingError(f"'{what}' was not done within {seconds} s: {done.stderr.strip()[-300:]}")
    if done.returncode:
        raise MissingError(f"'{what}' failed: {done.stderr.strip()[-600:]}")
    return done.stdout
