"""Overlays: private, bounded, gone when they are not wanted any more; and several repositories as one."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest

from oipserver.errors import InvalidArgumentError, OIPError, ResourceExhaustedError, UnsupportedError
from oipserver.repository import (
    FileModelRepository,
    Overlays,
    Overrides,
    Scan,
    SeveralRepositories,
    check_file,
)

FILES = {"model-settings.json": b'{"implementation": "onnx", "parameters": {"uri": "m.onnx"}}', "m.onnx": b"12345"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where overlays are made."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def kept(home: Path) -> list[str]:
    """The overlays that are kept, in their folder that nobody else can enter."""
    (base,) = home.iterdir()
    assert stat.S_IMODE(base.stat().st_mode) == 0o700
    return os.listdir(base)


def test_files_are_private_counted_and_removed(home: Path) -> None:
    async def scenario() -> None:
        overlays = Overlays(FileModelRepository, 150)
        overlay = await overlays.make("m", Overrides(files=FILES), Scan())
        (model,) = overlay.models
        assert (model.name, model.parameters.uri) == ("m", str(overlay.folder / "m" / "m.onnx"))
        assert (overlay.folder / "m" / "m.onnx").read_bytes() == b"12345"
        assert kept(home) == [overlay.folder.name]
        with pytest.raises(ResourceExhaustedError, match=r"of 124 bytes do not fit: 64 bytes are kept of at most 150"):
            await overlays.make("n", Overrides(files=FILES | {"x": bytes(60)}), Scan())
        await overlays.remove(overlay)
        assert kept(home) == []
        await overlays.remove(await overlays.make("n", Overrides(files=FILES | {"x": bytes(60)}), Scan()))
        await overlays.close()

    asyncio.run(scenario())
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": b"", "a/b": b""}, "its files cannot be written: File exists"),
        ({"x" * 300: b""}, "its files cannot be written: File name too long"),
        ({"model-settings.json": b"{"}, "model-settings.json"),
        ({"model-settings.json": b'{"implementation": "x.Y", "parameters": {"uri": "/etc"}}'}, "settings name /etc"),
    ],
)
def test_what_cannot_be_a_model_leaves_nothing_behind(home: Path, files: dict[str, bytes], message: str) -> None:
    async def scenario() -> None:
        overlays = Overlays(FileModelRepository, 1000)
        for _ in range(100):  # many times over what may be kept
            with pytest.raises(InvalidArgumentError, match=message):
                await overlays.make("m", Overrides(files=files), Scan())
        assert kept(home) == []

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["..", "../m", "/m", "a\\b", "a\0b", "m" * 300, "\ud800"])
def test_names_that_no_folder_can_have(home: Path, name: str) -> None:
    overlays = Overlays(FileModelRepository, 1000)
    with pytest.raises(InvalidArgumentError):
        asyncio.run(overlays.make(name, Overrides(files=FILES), Scan()))
    assert not list(home.glob("oipserver-*/*"))


def test_a_configuration_alone_copies_no_file(home: Path) -> None:
    folder = home / "models" / "m"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(b"large")
    (folder / "config.pbtxt").write_text("max_batch_size: 2")
    (folder / "labels.txt").write_text("a")

    async def scenario() -> None:
        overlays = Overlays(FileModelRepository, 0)
        base = await FileModelRepository(home / "models").scan()
        overlay = await overlays.make("m", Overrides('{"max_batch_size": "7"}'), base)
        (model,) = overlay.models
        assert model.configuration is not None
        assert (model.configuration["max_batch_size"], model.version) == (7, "1")
        assert model.parameters.uri == str(overlay.folder / "m" / "1" / "model.onnx")
        assert (overlay.folder / "m" / "1" / "model.onnx").read_bytes() == b"large"
        assert (overlay.folder / "m" / "labels.txt").read_text() == "a"
        await overlays.remove(overlay)
        assert (folder / "1" / "model.onnx").read_bytes() == b"large"
        with pytest.raises(UnsupportedError, match="max_uploaded_bytes is 0"):
            await overlays.make("m", Overrides("{}", {"1/model.onnx": b"x"}), base)
        await overlays.close()

    asyncio.run(scenario())


def test_a_configuration_for_a_model_with_settings_of_its_own(home: Path) -> None:
    for version in ("1", "2"):
        folder = home / "models" / "m" / version
        folder.mkdir(parents=True)
        (folder / "code.py").write_text("")
        told = {"name": "m", "implementation": "code.Model", "parameters": {"version": version, "uri": "./weights"}}
        (folder / "model-settings.json").write_text(json.dumps(told))

    async def scenario() -> None:
        overlays = Overlays(FileModelRepository, 0)
        base = await FileModelRepository(home / "models").scan()
        overlay = await overlays.make("m", Overrides('{"max_batch_size": 7}'), base)
        assert [model.version for model in overlay.models] == ["1", "2"]
        for model in overlay.models:
            assert model.configuration is not None
            assert model.configuration["max_batch_size"] == 7
            assert model.parameters.uri == str(home / "models" / "m" / model.version / "weights")
            assert model.source is not None
            assert (Path(model.source).parent / "code.py").exists()
        await overlays.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["", "/", "/etc/passwd", "..", "a/..", "../a", "a/../b", ".", "a//b", "a\\b", "a\0b"])
def test_paths_that_may_lead_out(path: str) -> None:
    with pytest.raises(InvalidArgumentError, match="must stay within model directory"):
        check_file(path)


@pytest.mark.parametrize("path", ["model.onnx", "1/model.onnx", "...", "..a/b..", "1/a b/ä"])
def test_paths_that_stay(path: str) -> None:
    assert check_file(path) == path


def test_several_repositories(tmp_path: Path) -> None:
    for place in ("one/a", "one/both", "two/b", "two/both"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "model-settings.json").write_text('{"implementation": "x.Y"}')
    (tmp_path / "two" / "c").mkdir()
    (tmp_path / "two" / "c" / "model-settings.json").write_text("{")
    roots = [str(tmp_path / name) for name in ("one", "two")]
    several = SeveralRepositories({root: FileModelRepository(Path(root)) for root in roots})

    async def scenario() -> None:
        scan = await several.scan()
        assert scan.names() == ["a", "b"]
        assert set(scan.broken) >= {"both", "c"}
        assert scan.places["b"] == (tmp_path / "two" / "b",)
        assert [model.name for model in await several.find("b")] == ["b"]
        assert (await several.look("a")).names() == ["a", "b"]
        with pytest.raises(OIPError, match=f"'both' is in more than one repository: {roots[0]} and {roots[1]}"):
            await several.find("both")

    asyncio.run(scenario())
