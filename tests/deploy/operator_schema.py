"""The Prometheus operator's word on its objects: the models that cloudcoil makes of its schemas; imports none of them.

They want the rest of cloudcoil, which would bring a client for clusters: the classes are read, and made again without
their builders.
"""

from __future__ import annotations

import ast
import typing
import zipfile
from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

import pydantic

from tests.deploy.wheels import wheel

WHEEL = "cloudcoil.models.prometheus-operator==0.80.1.0"
VARIABLE = "OIPSERVER_TEST_PROMETHEUS_OPERATOR"
SOURCE = "cloudcoil/models/prometheus_operator/v1.py"


class Strict(pydantic.BaseModel):
    """What every object is: nothing but the fields there are, by the names they have in YAML."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


def check(document: dict[str, Any]) -> None:
    """Raises ValidationError naming a field of ``document`` that the operator does not have, or that is wrong."""
    kind(document["kind"]).model_validate(document)


@cache
def kind(name: str) -> type[pydantic.BaseModel]:
    """The class of a kind of object, made of its fields alone."""
    with zipfile.ZipFile(wheel(WHEEL, VARIABLE)) as archive:
        tree = ast.parse(archive.read(SOURCE))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    wanted = set(reached(name, classes))
    body = [reduced(node) for found, node in classes.items() if found in wanted]
    others = {**vars(typing), "Field": pydantic.Field, "Strict": Strict, "__name__": __name__}
    others["apimachinery"] = SimpleNamespace(ObjectMeta=dict[str, Any])  # Kubernetes' own, and checked as such
    module = ast.fix_missing_locations(ast.Module(body, []))
    exec(compile(module, SOURCE, "exec", dont_inherit=True), others)  # annotations are values there, not texts
    made: type[pydantic.BaseModel] = others[name]
    return made


def reduced(node: ast.ClassDef) -> ast.stmt:
    """A class with its fields and without its builders."""
    node.bases = [ast.Name("Strict", ast.Load())]
    node.body = [field for field in node.body if isinstance(field, ast.AnnAssign)] or [ast.Pass()]
    return node


def reached(name: str, classes: dict[str, ast.ClassDef]) -> Iterator[str]:
    """The classes whose objects are inside of one called ``name``, and that one."""
    seen, waiting = {name}, [name]
    while waiting:
        yield (here := waiting.pop())
        for field in classes[here].body:
            if isinstance(field, ast.AnnAssign):
                names = {node.id for node in ast.walk(field.annotation) if isinstance(node, ast.Name)}
                waiting += (new := (names & classes.keys()) - seen)
                seen |= new
