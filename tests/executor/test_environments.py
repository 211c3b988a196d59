"""Packed environments: unpacked once, never outside of their folder, with errors that name the model and the file."""

from __future__ import annotations

import asyncio
import io
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
    if member[0].startswith("/"):  # the filter makes it relative, as tar itself does
        interpreter(envs, tarball)
    else:
        with pytest.raises(ModelLoadError, match=r"model 'm': cannot unpack environment_tarball .*env\.tar\.gz"):
            interpreter(envs, tarball)
        assert list(envs.iterdir()) == []
    assert not (tmp_path / "outside").exists()
    assert not Path("/tmp/outside").exists()


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
