"""KServe's own word on its objects: the fields that the models of its Python package have; imports none of them.

The package itself wants other versions of half of what the tests use, so its wheel is read and not installed.
"""

from __future__ import annotations

import ast
import zipfile
from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.deploy.wheels import wheel

WHEEL = "kserve==0.21.0"
VARIABLE = "OIPSERVER_TEST_KSERVE"
_PLAIN = {"str": str, "bool": bool, "int": int, "float": float}


@cache
def _fields(kind: str) -> dict[str, str]:
    """The type of each field of ``kind``, by the name it has in YAML."""
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind).lstrip("_")
    with zipfile.ZipFile(wheel(WHEEL, VARIABLE)) as archive:
        tree = ast.parse(archive.read(f"kserve/models/{name}.py"))
    values = {
        target.id: ast.literal_eval(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name)
        if target.id in ("openapi_types", "attribute_map")
    }
    return {values["attribute_map"][field]: kind for field, kind in values["openapi_types"].items()}


def check(kind: str, value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Check ``value`` against ``kind``; yields what is Kubernetes' own inside of it, by Kubernetes' kind.

    Raises AssertionError naming a field that KServe does not have, or that is of another type.
    """
    if kind.startswith("list["):
        assert isinstance(value, list), where
        for item in value:
            yield from check(kind[5:-1], item, where)
    elif kind == "dict(str, str)":
        assert all(isinstance(item, str) for item in value.values()), where
    elif kind in _PLAIN:
        assert isinstance(value, _PLAIN[kind]), f"{where}: expected {kind}, got {value!r}"
    elif kind.startswith(("V1alpha1", "V1beta1")):
        fields = _fields(kind)
        for key, item in value.items():
            assert key in fields, f"{where}.{key}: KServe knows {sorted(fields)}"
            yield from check(fields[key], item, f"{where}.{key}")
    else:
        yield kind, value
