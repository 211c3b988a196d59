"""What kustomize makes of a folder, as far as deploy/ uses it: files, folders, components, patches, images."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

KINDS = {"Kustomization": "kustomize.config.k8s.io/v1beta1", "Component": "kustomize.config.k8s.io/v1alpha1"}
Document = dict[str, Any]


def render(folder: Path) -> list[Document]:
    """The objects of ``folder``. Raises AssertionError for what kustomize refuses, and for what is not used yet."""
    made: list[Document] = []
    _add(folder, "Kustomization", made)
    return made


def _add(folder: Path, kind: str, made: list[Document]) -> None:
    """Put what ``folder`` has to ``made``, and change there what it changes."""
    said = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert (said.pop("kind"), said.pop("apiVersion")) == (kind, KINDS[kind]), folder
    for name in said.pop("resources", []):
        if (folder / name).is_dir():
            made += render(folder / name)
        else:
            made += yaml.safe_load_all((folder / name).read_text())
    for name in said.pop("components", []):
        _add(folder / name, "Component", made)
    for patch in said.pop("patches", []):
        _patch(patch, made)
    for image in said.pop("images", []):
        _name_image(image, made)
    assert not said, f"{folder}: {sorted(said)}"


def _patch(patch: Document, made: list[Document]) -> None:
    target = (patch["target"]["kind"], patch["target"]["name"])
    (document,) = [each for each in made if (each["kind"], each["metadata"]["name"]) == target]
    for step in yaml.safe_load(patch["patch"]):
        *way, last = step["path"].removeprefix("/").split("/")
        place: Any = document
        for key in way:
            place = place[int(key) if isinstance(place, list) else key]
        _step(step, place, last)


def _step(step: Document, place: Any, last: str) -> None:
    """One operation of a JSON patch on the member ``last`` of ``place``."""
    key: Any = int(last) if isinstance(place, list) and last != "-" else last
    match step["op"]:
        case "add" if key == "-":
            place.append(copy.deepcopy(step["value"]))
        case "test":
            assert place[key] == step["value"], step["path"]
        case "replace":
            assert place[key] is not None, step["path"]
            place[key] = step["value"]
        case "remove":
            del place[key]
        case other:
            raise AssertionError(f"no {other} here")


def _name_image(image: Document, made: list[Document]) -> None:
    found = [
        container
        for document in made
        for container in document.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
        if container["image"] == image["name"]
    ]
    assert found, f"nothing runs {image['name']}"
    for container in found:
        container["image"] = f"{image['newName']}:{image['newTag']}"
