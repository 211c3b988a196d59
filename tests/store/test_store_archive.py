"""Stored models as archives: the same bytes each time, and nothing that an archive can do harms the store."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oipserver.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from oipserver.store import Draft, ModelStore, StoredModel, export_model, import_model, record


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def model(store: ModelStore) -> StoredModel:
    def fill(folder: Path) -> Draft:
        (folder / "code").mkdir()
        (folder / "code" / "helper.py").write_text("x = 1\n")
        (folder / "model.bin").write_bytes(bytes(range(256)) * 100)
        return Draft(
            {"implementation": "identity", "parameters": {"uri": "model.bin"}}, labels={"a": "b"}, metadata={"f1": 0.9}
        )

    return store.add("iris:1", fill)


@pytest.mark.parametrize("suffix", [".tar.gz", ".tgz", ".tar"])
def test_there_and_back(model: StoredModel, tmp_path: Path, suffix: str) -> None:
    file = export_model(model, tmp_path / f"iris{suffix}")
    other = ModelStore(tmp_path / "other")
    found = import_model(other, file)
    assert found.record == model.record
    assert other.get("iris:latest").path == other.root / "iris" / "1"
    for path in ("model.bin", "code/helper.py", "model-settings.json", "stored-model.json"):
        assert (found.path / path).read_bytes() == (model.path / path).read_bytes()


def test_the_same_model_is_the_same_bytes(model: StoredModel, tmp_path: Path) -> None:
    first, second = (export_model(model, tmp_path / name).read_bytes() for name in ("a.tar.gz", "b.tar.gz"))
    assert first == second
    assert export_model(model, tmp_path) == tmp_path / "iris-1.tar.gz"


def test_what_is_there_is_not_replaced(store: ModelStore, model: StoredModel, tmp_path: Path) -> None:
    file = export_model(model, tmp_path / "iris.tar")
    with pytest.raises(AlreadyExistsError, match="exists: nothing was written"):
        export_model(model, file)
    with pytest.raises(AlreadyExistsError, match="there is a 'iris:1' already"):
        import_model(store, file)


def test_where_nothing_can_be_written(model: StoredModel, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"expected a name that ends in \.tar\.gz"):
        export_model(model, tmp_path / "iris.zip")
    with pytest.raises(InvalidArgumentError, match="cannot write"):
        export_model(model, tmp_path / "nowhere" / "iris.tar")
    (model.path / "model.bin").write_text("changed")
    with pytest.raises(InvalidArgumentError, match="is not what was stored"):
        export_model(model, tmp_path / "iris.tar")
    assert not list(tmp_path.glob("*.tar"))


def test_what_is_no_archive(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        import_model(store, tmp_path / "none.tar")
    (tmp_path / "text.tar").write_text("no archive")
    with pytest.raises(InvalidArgumentError, match=r"cannot import .*text.tar"):
        import_model(store, tmp_path / "text.tar")
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    with pytest.raises(InvalidArgumentError, match=r"there is no stored-model.json in it"):
        import_model(store, tmp_path / "empty.tar")


@pytest.mark.parametrize("keep", [0.3, 0.9])
@pytest.mark.parametrize("suffix", [".tar.gz", ".tar"])
def test_a_truncated_archive(model: StoredModel, tmp_path: Path, suffix: str, keep: float) -> None:
    content = export_model(model, tmp_path / f"iris{suffix}").read_bytes()
    content = content.rstrip(b"\0") if suffix == ".tar" else content
    (tmp_path / f"cut{suffix}").write_bytes(content[: int(len(content) * keep)])
    refused(tmp_path, tmp_path / f"cut{suffix}", "cannot import")


def refused(tmp_path: Path, file: Path, reason: str) -> None:
    fresh = ModelStore(tmp_path / "fresh")
    with pytest.raises(InvalidArgumentError, match=reason):
        import_model(fresh, file)
    assert fresh.models() == []
    assert [path for path in fresh.root.rglob("*") if path.is_file()] == []


def changed(model: StoredModel, tmp_path: Path, change: Callable[[dict[str, bytes]], Any]) -> Path:
    """An archive of ``model`` whose files ``change`` had in its hands."""
    with tarfile.open(export_model(model, tmp_path / "good.tar")) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    change(files)
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return tmp_path / "bad.tar"


def edit(files: dict[str, bytes], file: str, /, **values: Any) -> None:
    files[file] = json.dumps({**json.loads(files[file]), **values}).encode()


SETTINGS, RECORD = "model-settings.json", "stored-model.json"
SHA = "0" * 64


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda files: files.update({"model.bin": b"other"}), "file 'model.bin' is not what was stored"),
        (lambda files: files.pop("model.bin"), "file 'model.bin' is missing"),
        (lambda files: files.update({"more.py": b"import os"}), r"file 'more.py' is not in its stored-model.json"),
        (lambda files: files.pop(SETTINGS), "cannot read"),
        (lambda files: files.update({SETTINGS: b"{"}), "closing"),
        (lambda files: edit(files, SETTINGS, name="wine"), "is not that of 'iris:1'"),
        (lambda files: edit(files, SETTINGS, parameters={"version": "1", "uri": "/etc/passwd"}), "was not stored with"),
        (lambda files: edit(files, SETTINGS, parameters={"version": "1", "uri": "../../x"}), "was not stored with it"),
        (lambda files: edit(files, RECORD, version="../../2"), "cannot be a version"),
        (lambda files: edit(files, RECORD, name=".staging"), "cannot name a model"),
        (lambda files: edit(files, RECORD, version="latest"), "no version can be called"),
        (lambda files: edit(files, RECORD, files={"../x": {"size": 1, "sha256": SHA}}), "must stay within"),
        (lambda files: edit(files, RECORD, format=2), "format"),
        (lambda files: files.update({"../../escaped": b"x"}), "is no file within the model's folder"),
        (lambda files: files.update({"/tmp/oipserver-escaped": b"x"}), "is no file within the model's folder"),
        (lambda files: files.update({"code/../../x": b"x"}), "is no file within the model's folder"),
    ],
)
def test_archives_that_lie(model: StoredModel, tmp_path: Path, change: Callable[[Any], Any], reason: str) -> None:
    refused(tmp_path, changed(model, tmp_path, change), reason)
    assert not (tmp_path / "escaped").exists()
    assert not Path("/tmp/oipserver-escaped").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_only_files_are_unpacked(model: StoredModel, tmp_path: Path, kind: bytes) -> None:
    file = export_model(model, tmp_path / "iris.tar")
    with tarfile.open(file, "a") as archive:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    refused(tmp_path, file, "'link' is no file within the model's folder")


def test_archives_are_bounded(model: StoredModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = export_model(model, tmp_path / "iris.tar.gz")
    monkeypatch.setattr("oipserver.store.archive.MAX_BYTES", 20_000)
    refused(tmp_path, file, "more than .* 20000 bytes")
    monkeypatch.setattr("oipserver.store.archive.MAX_BYTES", record.MAX_BYTES)
    monkeypatch.setattr("oipserver.store.archive.MAX_FILES", 1)
    refused(tmp_path, file, "more than 1 files")
