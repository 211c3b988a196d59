"""The one template of container images: from what a folder needs to the text of its Dockerfile; runs nothing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from ..settings import Settings
from .needs import OLDEST_PYTHON, PACKAGE, Needs
from .requirements import is_plain, shell_words

PYTHON = "3.12"
CPU_BASE = "python:{python}-slim-bookworm"
# The libraries come as wheels, in the version that the wheels of the runtimes want; CUDA's image has what drivers need.
GPU_BASE = "nvidia/cuda:13.0.1-base-ubuntu24.04"
MODELS = "/mnt/models"
VENV = "/opt/oipserver"
WHEELHOUSE = "wheelhouse"  # the name of the build context that has the wheels

_MARK = "# Written by oipserver"
_GPU_EXTRAS = {"onnx": "cuda"}
_GPU_PACKAGES = ("python3", "python3-venv")
_GPU_PYTHON = "3.12"  # what they are in GPU_BASE
_SYSTEM_PACKAGES = {"lightgbm": "libgomp1"}
# Before pip, which would but say that it finds no version of this server.
_PYTHON_CHECK = (
    f"python3 -c 'import sys; sys.version_info >= {OLDEST_PYTHON} or "
    'sys.exit("the base image has Python " + sys.version.split()[0] + ": expected {}.{} or newer")\''
).format(*OLDEST_PYTHON)

DOCKERIGNORE = """\
# What no image needs.
**/.git
**/.venv*
**/.envs
**/.env
**/__pycache__
**/*.py[cod]
**/.ipynb_checkpoints
**/.pytest_cache
**/.mypy_cache
**/.ruff_cache
**/.DS_Store
**/node_modules
Dockerfile*
.dockerignore
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What whoever builds may choose: ``base_image`` instead of the one that fits; ``gpu``; ``extras`` instead of those
    that were found; ``wheelhouse``, a folder with all packages as wheels; ``system_packages`` of the base image's
    distribution (Debian or Ubuntu)."""

    base_image: str | None = None
    gpu: bool = False
    extras: frozenset[str] | None = None
    wheelhouse: Path | None = None
    system_packages: tuple[str, ...] = ()

    def wheelhouse_inside(self, folder: Path) -> str | None:
        """The wheelhouse relative to ``folder``, where it lies in it."""
        if self.wheelhouse is None or not self.wheelhouse.resolve().is_relative_to(folder.resolve()):
            return None
        inside = self.wheelhouse.resolve().relative_to(folder.resolve()).as_posix()
        return inside if is_plain(inside) else None

    def wheelhouse_outside(self, folder: Path) -> Path | None:
        """The wheelhouse, where it takes a build context of its own."""
        return None if self.wheelhouse_inside(folder) else self.wheelhouse


def is_ours(text: str) -> bool:
    """Whether a Dockerfile was written by this server, so that it may be written again."""
    return text.startswith(_MARK)


def dockerfile(needs: Needs, options: Options) -> str:
    """The Dockerfile of an image that serves the folder of ``needs``."""
    found = needs.extras if options.extras is None else options.extras
    extras = {_GPU_EXTRAS.get(each, each) if options.gpu else each for each in found}
    packages = [
        *(_SYSTEM_PACKAGES[each] for each in sorted(extras) if each in _SYSTEM_PACKAGES),
        *options.system_packages,
    ]
    image = options.base_image or (GPU_BASE if options.gpu else CPU_BASE.format(python=needs.python or PYTHON))
    lines, base = _base(image, dict.fromkeys(packages), with_python=options.gpu)
    return "\n".join([*_head(needs), *lines, *_build(needs, options, extras, base), *_final(needs, options, base)])


def gpu_note(needs: Needs) -> str | None:
    """What to tell whoever builds an image for GPUs of models that were made with another Python than it has."""
    if needs.python in (None, _GPU_PYTHON):
        return None
    return (
        f"the image for GPUs has Python {_GPU_PYTHON}, the models ask for {needs.python}: --base-image "
        f"{CPU_BASE.format(python=needs.python)} has that, and as well does for GPUs, as CUDA's libraries are wheels"
    )


def _head(needs: Needs) -> list[str]:
    what = f"models: {', '.join(needs.models)}" if needs.models else f"models are mounted at {MODELS}"
    source = "this folder" if needs.is_server else f"{PACKAGE} {__version__}"
    notes = [_line(f"# Note: {note.replace(str(needs.folder), '.')}") for note in needs.notes]
    return [_line(f"{_MARK} dockerfile, which overwrites it; {source}; {what}."), *notes]


def _base(image: str, packages: Iterable[str], *, with_python: bool) -> tuple[list[str], str]:
    """The lines about the base image, and what the other stages start from.

    A stage without any instruction is none: buildah would take the image it starts from for its own, and remove it.
    """
    names = " ".join(map(shlex.quote, packages))
    lines = [f"ARG BASE_IMAGE={image}", "", "FROM ${BASE_IMAGE} AS base"]
    if with_python:  # CUDA's images have none
        lines.append(f"RUN python3 -c 'import ensurepip' 2>/dev/null || {_apt(' '.join(_GPU_PACKAGES))}")
    if names:
        lines.append(f"RUN {_apt(names)}")
    return ([*lines, ""], "base") if len(lines) > 3 else (lines[:2], "${BASE_IMAGE}")


def _apt(names: str) -> str:
    install = f"apt-get install --yes --no-install-recommends {names}"
    lists = "rm -rf /var/lib/apt/lists/*"
    return f"( \\\n    apt-get update && DEBIAN_FRONTEND=noninteractive {install} \\\n    && {lists} )"


def _build(needs: Needs, options: Options, extras: set[str], base: str) -> list[str]:
    """The stage with pip: what models do not change first, in layers of its own, then the folder."""
    lines = [
        f"FROM {base} AS build",
        # Empty is as good as none to pip, while builders warn of arguments without a value.
        "ARG PIP_INDEX_URL=",
        "ARG PIP_EXTRA_INDEX_URL=",
        f"RUN {_PYTHON_CHECK} \\",
        f"    && python3 -m venv {VENV}",
        f"ENV PATH={VENV}/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1",
    ]
    inside = options.wheelhouse_inside(needs.folder)
    if options.wheelhouse is not None:
        lines.append(f"COPY {json.dumps([inside, '/wheels'])}" if inside else f"COPY --from={WHEELHOUSE} . /wheels")
        lines.append("ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels")
    names = f"[{','.join(sorted(extras))}]" if extras else ""
    first = [] if needs.is_server else [shlex.quote(f"{PACKAGE}{names}=={__version__}")]
    for number, file in enumerate(needs.files):
        lines.append(f"COPY {json.dumps([file, f'/requirements/{number}.txt'], ensure_ascii=False)}")
        first.append(f"-r /requirements/{number}.txt")
    first += map(shell_words, needs.requirements)
    # Where the folder lies in the image in the end: what is installed to be edited is found there.
    place = "/source" if needs.is_server else MODELS
    lines += [*_pip(first), f"COPY . {place}", *_local(needs, place, names)]
    if not needs.is_server:
        gone = f"rm -rf {shlex.quote(f'{MODELS}/{inside}')} && " if inside else ""
        # Whoever the image runs as can read the models, whatever their files allow where they came from.
        lines.append(f"RUN {gone}chmod -R a+rX,go-w {MODELS}")
    return [*lines, ""]


def _local(needs: Needs, place: str, names: str) -> list[str]:
    """What can be installed only where the folder is, from the folders that it names its files from."""
    folders: dict[str, list[str]] = {}
    for folder, requirement in needs.local:
        folders.setdefault(folder, []).append(shell_words(requirement))
    if needs.project:
        folders.setdefault(".", []).append(shlex.quote(f".{names}") if needs.is_server else ".")
    lines = [f"WORKDIR {place}"] if folders else []
    for folder, quoted in folders.items():
        lines += _pip(quoted, where="" if folder == "." else f"cd {shlex.quote(folder)} && ")
    return lines


def _pip(quoted: list[str], where: str = "") -> list[str]:
    return [" \\\n    ".join([f"RUN {where}pip install", *quoted])] if quoted else []


def _final(needs: Needs, options: Options, base: str) -> list[str]:
    settings = needs.settings
    ports = [settings.http_port, settings.grpc_port] + ([settings.metrics_port] if settings.metrics_endpoint else [])
    return [
        f"FROM {base}",
        "ARG BASE_IMAGE",
        _labels(needs),
        f"COPY --from=build {VENV} {VENV}",
        *([] if needs.is_server else [f"COPY --from=build {MODELS} {MODELS}"]),
        *(f"ENV {name}={_quoted(value)}" for name, value in sorted(needs.variables.items())),
        # Nothing but /tmp is written at run time, so that a read-only file system and any user id will do.
        f"ENV PATH={VENV}/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1",
        *(["ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility"] if options.gpu else []),
        "USER 1000:0",
        "WORKDIR /tmp",
        f"EXPOSE {' '.join(str(port) for port in ports if port)}",
        "HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \\",
        f"    CMD {json.dumps(['python3', '-c', _health(settings)])}",
        "# The exec form: SIGTERM reaches the server, which finishes what is in flight.",
        f"CMD {json.dumps([PACKAGE, 'start', MODELS])}",
        "",
    ]


def _labels(needs: Needs) -> str:
    labels = {"title": PACKAGE if needs.is_server else needs.folder.name}
    if needs.models:
        labels["description"] = f"Serves {', '.join(needs.models)}"
    given = [f"org.opencontainers.image.{key}={_quoted(value)}" for key, value in sorted(labels.items())]
    fixed = [f'LABEL io.oipserver.version="{__version__}"', 'org.opencontainers.image.base.name="${BASE_IMAGE}"']
    return " \\\n    ".join([*fixed, *given])


def _quoted(text: str) -> str:
    """A text in the quotes of a Dockerfile, where a dollar would stand for a variable."""
    return json.dumps(_line(text), ensure_ascii=False).replace("$", "\\$")


def _line(text: str) -> str:
    """A text on one line: no name that somebody gave a model can say anything to a builder."""
    return " ".join(text.split())


def _health(settings: Settings) -> str:
    """Whether the server lives, in Python as no other program is sure to be there; under TLS a mere connection."""
    port = f"os.environ.get('OIPSERVER_HTTP_PORT', '{settings.http_port}')"
    if settings.ssl_certfile:
        return f"import os, socket; socket.create_connection(('127.0.0.1', {port}), timeout=2)"
    return f"import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + {port} + '/v2/health/live', timeout=2)"
