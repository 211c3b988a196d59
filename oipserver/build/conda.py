"""Conda's environment files as what pip can install; knows no image and installs nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InvalidArgumentError
from ..settings.yaml_file import read_yaml
from .conda_names import is_python_package, pip_name

ENVIRONMENT_FILES = ("environment.yml", "environment.yaml", "conda.yml", "conda.yaml")
EXTRA = "build"  # of oipserver: brings what reads them

_PART = re.compile(r"(?:[\w./-]+::)?(?P<name>[A-Za-z0-9_][\w.-]*)\s*(?P<constraint>[^\w\s].*|\s\S.*)?")
_CLAUSE = re.compile(r"(?P<operator>===?|!=|<=|>=|~=|<|>|=)?(?P<version>\d[\w.+!-]*?)(?P<any>\.?\*)?")
_BUILT = re.compile(r"=?=?(\d[^=,<>!~]*)=([^=]+)")
_RELEASE = re.compile(r"[\d.]+")
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)

# Where a file leaves the choice: the Python of our own images first, those too old for this server last.
_PYTHONS = ((3, 12), (3, 13), (3, 11), (3, 14), (3, 10), (3, 9), (3, 8))
_PINNED = re.compile(r"(?:==|~=)(\d+)\.(\d+)")


@dataclass(slots=True)
class CondaEnvironment:
    """What an environment file asks for: ``python`` as "3.12" where it says, requirements for pip, packages that are
    ``left_out`` because they are no Python packages, and variables to set.

    ``from_channels``: some requirements were conda's, from ``channels`` that pip does not know.
    """

    python: str | None = None
    requirements: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    channels: list[str] = field(default_factory=list)
    from_channels: bool = False


def read_environment(path: Path) -> CondaEnvironment:
    """The environment that ``path`` describes.

    Raises InvalidArgumentError naming the file where it cannot be read, or names a package pip has no words for.
    """
    content = _content(path)
    found = CondaEnvironment(variables=_variables(content, path))
    found.channels = [str(each) for each in _list(content, "channels", path)]
    for entry in _list(content, "dependencies", path):
        if isinstance(entry, dict) and set(entry) == {"pip"}:
            found.requirements += [" ".join(str(each).split()) for each in _list(entry, "pip", path)]
        elif isinstance(entry, str):
            _add(found, " ".join(entry.split()), path)
        else:
            raise InvalidArgumentError(f"{path}: expected a package or a list 'pip' in dependencies, got {entry!r}")
    return found


def _content(path: Path) -> dict[str, Any]:
    content = read_yaml(path, EXTRA)
    if not isinstance(content, dict):
        raise InvalidArgumentError(f"{path}: expected an object with a list of dependencies")
    return content


def _list(content: dict[str, Any], key: str, path: Path) -> list[Any]:
    found = content.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise InvalidArgumentError(f"{path}: expected a list of {key}, got {found!r}")
    return found


def _variables(content: dict[str, Any], path: Path) -> dict[str, str]:
    found = content.get("variables") or {}
    if not isinstance(found, dict):
        raise InvalidArgumentError(f"{path}: expected an object of variables, got {found!r}")
    for name in found:
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise InvalidArgumentError(f"{path}: {name!r} cannot be the name of a variable")
    return {name: "" if value is None else str(value) for name, value in found.items()}


def _add(found: CondaEnvironment, entry: str, path: Path) -> None:
    match = _PART.fullmatch(entry)
    constraint = _constraint(match["constraint"] or "") if match else None
    if match is None or constraint is None:
        raise InvalidArgumentError(f"{path}: '{entry}' has no counterpart for pip: move it into the 'pip' list")
    name = match["name"].lower()
    if name == "python":
        found.python = _python(constraint)
    elif not is_python_package(name):
        found.left_out.append(name)
    elif name != "pip":
        found.requirements.append(pip_name(name) + constraint)
        found.from_channels = True


def _constraint(conda: str) -> str | None:
    """Conda's ``=1.2`` (any 1.2), ``=1.2.3=build`` and ``1.2.3 build`` (just that), ``1.2.*`` and ``>=1, <2`` in pip's
    words; None where it has none."""
    tidy = re.sub(r"\s*,\s*", ",", re.sub(r"([<>=!~])\s+", r"\1", conda.strip()))
    version, _, build = tidy.partition(" ")
    if not build and (pinned := _BUILT.fullmatch(version)):
        version, build = pinned[1], pinned[2]
    if " " in build:
        return None
    if version in ("", "*"):
        return ""
    clauses = [_clause(each, exact=bool(build)) for each in version.split(",")]
    return ",".join(clauses) if all(clauses) else None


def _clause(conda: str, *, exact: bool) -> str:
    """One comparison in pip's words, ``exact`` where a build stands behind it; "" where pip has none."""
    match = _CLAUSE.fullmatch(conda)
    if match is None:
        return ""
    operator, version = match["operator"] or "==", match["version"]
    if operator == "=":
        return f"=={version}" if exact or not _RELEASE.fullmatch(version) else f"=={version}.*"
    return f"{operator}{version}.*" if match["any"] and operator in ("==", "!=") else operator + version


def _python(constraint: str) -> str | None:
    """The Python, as "3.12", that a constraint in pip's words names, else the first of _PYTHONS that it allows; None
    where it is empty."""
    if not constraint:
        return None
    if pinned := _PINNED.match(constraint):
        return f"{pinned[1]}.{pinned[2]}"
    for python in _PYTHONS:
        if all(_allows(clause, python) for clause in constraint.split(",")):
            return "{}.{}".format(*python)
    return None


def _allows(clause: str, python: tuple[int, int]) -> bool:
    """Whether a comparison lets some patch of a minor version through, a high one: ``<3.12`` lets no 3.12 through."""
    match = _CLAUSE.fullmatch(clause)
    numbers = tuple(int(each) for each in re.findall(r"\d+", match["version"] if match else "")[:2])
    given = python[: len(numbers)]
    operator = (match["operator"] if match else None) or "=="
    if operator in ("==", "===", "~="):
        return given == numbers
    if operator in (">=", ">"):
        return given >= numbers
    if operator == "!=":
        return given != numbers
    return given < numbers or (operator == "<=" and given == numbers)
