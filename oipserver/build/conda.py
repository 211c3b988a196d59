"""Conda's environment files as what pip can install; knows no image and installs nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import InvalidArgumentError

ENVIRONMENT_FILES = ("environment.yml", "environment.yaml", "conda.yml", "conda.yaml")

# Packages whose name on the Python package index is another one.
_NAMES = {
    "dask-core": "dask",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "opencv": "opencv-python-headless",
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "pytables": "tables",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
}

# Programs and C libraries, as full exports of an environment list them: a base image has them, or none is needed.
_NO_PYTHON = re.compile(
    r"_.*|ld_impl_.*|lib(gcc|stdcxx|gfortran|gomp|ffi|blas|cblas|lapack|openblas|uuid|zlib|sqlite|nsl|xcrypt|expat|lzma|"
    r"png|jpeg|tiff|webp|deflate|curl|protobuf|abseil).*|cuda.*|cudnn|nccl|mkl|blas|openblas|intel-openmp|"
    r"llvm-openmp|openssl|ca-certificates|ncurses|readline|sqlite|tk|xz|zlib|zstd|bzip2|gcc.*|gxx.*|tzdata|icu|"
    r"nodejs|ffmpeg|git|make|cmake"
)
_PART = re.compile(r"(?:[\w.-]+::)?(?P<name>[A-Za-z0-9_][\w.-]*)\s*(?P<constraint>[^\w\s].*|\s\S.*)?")
_MINOR = re.compile(r"[^\d]*(\d+\.\d+)")


@dataclass(slots=True)
class CondaEnvironment:
    """What an environment file asks for: ``python`` as "3.12" where it says, requirements for pip, and the packages
    that are ``left_out`` because they are no Python packages."""

    python: str | None = None
    requirements: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def read_environment(path: Path) -> CondaEnvironment:
    """The environment that ``path`` describes.

    Raises InvalidArgumentError naming the file where it cannot be read, or names a package pip has no words for.
    """
    found = CondaEnvironment()
    for entry in _dependencies(path):
        if isinstance(entry, dict) and set(entry) == {"pip"}:
            found.requirements += [str(each).strip() for each in entry["pip"] or ()]
        elif isinstance(entry, str):
            _add(found, entry.strip(), path)
        else:
            raise InvalidArgumentError(f"{path}: expected a package or a list 'pip' in dependencies, got {entry!r}")
    return found


def require_yaml(path: Path) -> None:
    """Raise InvalidArgumentError saying how to get what reads ``path``, where that is missing."""
    if find_spec("yaml") is None:
        raise InvalidArgumentError(f'{path} can be read with PyYAML alone: pip install "oipserver[build]"')


def _dependencies(path: Path) -> list[Any]:
    require_yaml(path)
    import yaml  # an extra: nothing but these files needs it

    try:
        content = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError) as error:
        raise InvalidArgumentError(f"cannot read {path}: {' '.join(str(error).split())}") from None
    dependencies = content.get("dependencies", []) if isinstance(content, dict) else None
    if not isinstance(dependencies, list):
        raise InvalidArgumentError(f"{path}: expected an object with a list of dependencies")
    return dependencies


def _add(found: CondaEnvironment, entry: str, path: Path) -> None:
    match = _PART.fullmatch(entry)
    constraint = (match["constraint"] or "").strip() if match else ""
    if match is None or {"|", "["} & set(constraint):
        raise InvalidArgumentError(f"{path}: '{entry}' has no counterpart for pip: move it into the 'pip' list")
    name = match["name"].lower()
    if name == "python":
        minor = _MINOR.match(constraint)
        found.python = minor[1] if minor else None
    elif _NO_PYTHON.fullmatch(name):
        found.left_out.append(name)
    elif name != "pip":
        found.requirements.append(_NAMES.get(name, name) + _constraint(constraint))


def _constraint(conda: str) -> str:
    """Conda's ``=1.2`` (any 1.2), ``=1.2.3=build`` (just that), ``1.2.*`` and ``>=1,<2`` in pip's words."""
    if not conda or conda == "*":
        return ""
    if conda.startswith("=") and not conda.startswith("=="):
        version, _, build = conda[1:].partition("=")
        return f"=={version}" if build or version.endswith("*") else f"=={version}.*"
    return f"=={conda}" if conda[0].isdigit() else conda.replace(" ", "")
