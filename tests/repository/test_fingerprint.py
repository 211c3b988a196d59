"""A fingerprint changes with what a model is made of, and with nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from oipserver.repository import fingerprint
from oipserver.settings import ModelSettings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "m"
    (made / "1").mkdir(parents=True)
    (made / "1" / "model.onnx").write_bytes(b"weights")
    (made / "config.pbtxt").write_text("")
    return made


def replace(folder: Path) -> None:
    fresh = folder / "fresh"
    fresh.write_bytes(b"weights")
    os.utime(fresh, ns=(0, (folder / "1" / "model.onnx").stat().st_mtime_ns))
    fresh.rename(folder / "1" / "model.onnx")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda folder: (folder / "1" / "model.onnx").write_bytes(b"other weights"),
    "time": lambda folder: os.utime(folder / "1" / "model.onnx", ns=(0, 5)),
    "another file of the same size and time": replace,
    "a file more": lambda folder: (folder / "labels.txt").touch(),
    "a file less": lambda folder: (folder / "config.pbtxt").unlink(),
    "an empty version": lambda folder: (folder / "2").mkdir(),
}
NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda folder: None,
    "a hidden file": lambda folder: (folder / ".config.pbtxt.swp").touch(),
    "compiled Python": lambda folder: (folder / "1" / "model.pyc").touch(),
    "a cache": lambda folder: (folder / "1" / "__pycache__").mkdir(),
    "another model's folder": lambda folder: (folder / "other" / "x").mkdir(parents=True),
}


def look(folder: Path, **settings: object) -> str:
    model = ModelSettings.model_validate({"name": "m", **settings})
    return fingerprint([model], [folder], frozenset({folder / "other"}))


@pytest.mark.parametrize("change", CHANGES)
def test_what_counts(folder: Path, change: str) -> None:
    before = look(folder)
    CHANGES[change](folder)
    assert look(folder) != before


@pytest.mark.parametrize("change", NO_CHANGES)
def test_what_does_not_count(folder: Path, change: str) -> None:
    before = look(folder)
    NO_CHANGES[change](folder)
    assert look(folder) == before


def test_settings_count(folder: Path) -> None:
    assert look(folder, max_batch_size=4) != look(folder)


def test_an_artefact_elsewhere_counts(folder: Path, tmp_path: Path) -> None:
    artefact = tmp_path / "weights.bin"
    before = look(folder, parameters={"uri": str(artefact)})
    artefact.touch()
    assert look(folder, parameters={"uri": str(artefact)}) != before


def test_links_are_followed_and_circles_end(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "real.bin").write_bytes(b"1")
    (folder / "linked.bin").symlink_to(tmp_path / "real.bin")
    (folder / "1" / "circle").symlink_to(folder)
    before = look(folder)
    (tmp_path / "real.bin").write_bytes(b"12")
    assert look(folder) != before
