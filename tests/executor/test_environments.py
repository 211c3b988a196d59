"""Packed environments: unpacked once, never outside of their folder, with errors that name the model and the file."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
from pathlib import Path

import pytest

from oipserver.errors import ModelLoadError
from oipserver.executor.pool import environments
from oipserver.executor.pool.environments import Environments


def pack(path: Path, *members: tuple[str, bytes | str]) -> Path:
    """A tarball of files (bytes) and symbolic links (text)."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size, info.mode = len(content), 0o755
                archive.addfile(info, io.BytesIO(content))
    return path


def interpreter(folder: Path, tarball: Path) -> Path:
    return asyncio.run(Environments(folder).interpreter_of(tarball, "m"))


def test_it_is_unpacked_once_and_adapts_itself(tmp_path: Path) -> None:
    tarball = pack(
        tmp_path / "env.tar.gz",
        ("bin/python3.11", b'#!/bin/sh\necho "$1" >> "$(dirname "$0")/../ran"\n'),
        ("bin/python", "python3.11"),
        ("bin/conda-unpack", b""),
    )
    envs = tmp_path / "envs"
    found = interpreter(envs, tarball)
    assert interpreter(envs, tarball) == found
    assert found.resolve() == found.parent / "python3.11"
    assert (found.parents[1] / "ran").read_text().splitlines() == [str(found.parent / "conda-unpack")]
    assert [path.name for path in envs.iterdir()] == [found.parents[1].name]


@pytest.mark.parametrize(
    "member", [("../outside", b"x"), ("/tmp/outside", b"x"), ("bin/python", "/etc/passwd"), ("link", "../../outside")]
)
def test_nothing_leaves_the_folder(member: tuple[str, bytes | str], tmp_path: Path) -> None:
    tarball = pack(tmp_path / "env.tar.gz", ("bin/python3", b""), member)
    envs = tmp_path / "envs"
    if member[0].startswith("/"):  # it is made relative, as tar itself does
        interpreter(envs, tarball)
    else:
        with pytest.raises(ModelLoadError, match=r"model 'm': cannot unpack environment_tarball .*env\.tar\.gz"):
            interpreter(envs, tarball)
        assert list(envs.iterdir()) == []
    assert not (tmp_path / "outside").exists()
    assert not Path("/tmp/outside").exists()


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ([("up", "."), ("up/file", b"x")], "'up/file' is to be reached by the link 'up'"),
        ([("out", "up/../../f"), ("up", "."), ("out", b"x")], "'out' is a link to 'up/../../f', out of"),
        ([("out", "up/../f"), ("up", "."), ("out", b"x")], "'out' is to be reached by the link 'out'"),
        ([("a/b/up", "../.."), ("out", "a/b/up/..")], "'out' is a link to 'a/b/up/..', out of the environment"),
        ([("a/../b", b"x")], "'a/../b' leads out of the environment"),
    ],
)
def test_nothing_goes_through_a_link(members: list[tuple[str, bytes | str]], complaint: str, tmp_path: Path) -> None:
    tarball = pack(tmp_path / "env.tar.gz", ("bin/python3", b""), *members)
    with pytest.raises(ModelLoadError, match=complaint):
        interpreter(tmp_path / "envs", tarball)


@pytest.mark.parametrize(
    ("kind", "link", "complaint"),
    [
        (tarfile.FIFOTYPE, "", "'odd' is neither a file nor a folder nor a link"),
        (tarfile.CHRTYPE, "", "'odd' is neither a file nor a folder nor a link"),
        (tarfile.LNKTYPE, "../secret", r"'odd', a link to '../secret', leads out of the environment"),
        (tarfile.LNKTYPE, "/etc/passwd", r"'odd', a link to '/etc/passwd', leads out of the environment"),
    ],
)
def test_what_is_no_part_of_an_environment(kind: bytes, link: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    info = tarfile.TarInfo("odd")
    info.type, info.linkname = kind, link
    with tarfile.open(tmp_path / "env.tar.gz", "w:gz") as archive:
        archive.addfile(info)
    with pytest.raises(ModelLoadError, match=complaint):
        interpreter(tmp_path / "envs", tmp_path / "env.tar.gz")


def test_files_are_nobody_elses_to_write(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "env.tar.gz", "w:gz") as archive:
        for name, mode in (("bin/python", 0o6777), ("lib/text", 0o666)):
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.uname = mode, 12345, "nobody"
            archive.addfile(info)
        linked = tarfile.TarInfo("lib/again")
        linked.type, linked.linkname = tarfile.LNKTYPE, "lib/text"
        archive.addfile(linked)
    folder = interpreter(tmp_path / "envs", tmp_path / "env.tar.gz").parents[1]
    found = {path.name: path.stat() for path in folder.rglob("*") if path.is_file()}
    assert {name: stat.st_mode & 0o7777 for name, stat in found.items()} == {
        "python": 0o755,
        "text": 0o644,
        "again": 0o644,
    }
    assert {stat.st_uid for stat in found.values()} == {os.geteuid()}


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tarball = pack(tmp_path / "env.tar.gz", *((f"f{number}", b"x" * 10) for number in range(5)))
    for limit in ("MAX_MEMBERS", "MAX_BYTES"):
        with monkeypatch.context() as patch:
            patch.setattr(environments, limit, 4)
            with pytest.raises(ModelLoadError, match="it holds more than"):
                interpreter(tmp_path / "envs", tarball)


@pytest.mark.parametrize("content", [b"", b"not a tarball", None])
def test_what_is_no_environment(content: bytes | None, tmp_path: Path) -> None:
    tarball = tmp_path / "env.tar.gz"
    if content is not None:
        tarball.write_bytes(content)
    with pytest.raises(ModelLoadError, match="cannot unpack environment_tarball"):
        interpreter(tmp_path / "envs", tarball)


def test_an_environment_without_interpreter(tmp_path: Path) -> None:
    tarball = pack(tmp_path / "env.tar.gz", ("readme", b""))
    with pytest.raises(ModelLoadError, match="it has no bin/python"):
        interpreter(tmp_path / "envs", tarball)
