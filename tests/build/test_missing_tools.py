"""What becomes of tests of images where their tools are missing: in CI a failure that tells how, elsewhere a skip."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.build import containers


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All the programs there are: none that images are built with, and an apt-get without network."""
    folder = tmp_path / "bin"
    folder.mkdir()
    timeout = shutil.which("timeout")
    assert timeout is not None
    (folder / "timeout").symlink_to(timeout)
    (folder / "apt-get").write_text('#!/bin/sh\necho "E: $*: no network" >&2\nexit 100\n')
    (folder / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def outcome(folder: Path) -> tuple[type[BaseException], str]:
    try:
        containers.prepare(folder)
    except containers.MissingError as error:
        try:
            containers.give_up(error)
        except (pytest.fail.Exception, pytest.skip.Exception) as end:
            return type(end), str(end)
    raise AssertionError("nothing was missing")


def test_elsewhere_it_is_a_skip(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    kind, message = outcome(tmp_path)
    assert kind is pytest.skip.Exception
    assert message.startswith("not installed: podman, runc, mmdebstrap. On Debian and Ubuntu, apt-get install podman ")
    assert message.endswith("; CI=true does that by itself")


def test_in_ci_it_is_a_failure(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    kind, message = outcome(tmp_path)
    assert kind is pytest.fail.Exception
    assert message.startswith("not installed: podman, runc, mmdebstrap. On Debian and Ubuntu, apt-get install podman ")
    assert ("no network" if os.geteuid() == 0 else "that takes root") in message
