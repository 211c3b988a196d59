"""Environments as venv-pack leaves them: the interpreter is a link to one of this machine."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tarfile
import venv
from io import BytesIO
from pathlib import Path

import pytest
import venv_pack

from oipserver.errors import ModelLoadError
from oipserver.executor.pool.environments import Environments
from tests.executor.test_models_in_environments import MODEL, make_environment, told
from tests.support.server_process import ServerProcess


def pack(folder: Path, target: Path) -> Path:
    """Pack an environment whose interpreter is a link, as that of ``python -m venv`` is."""
    make_environment(folder)
    for path in folder.glob("bin/python*"):
        path.unlink()
    venv.create(folder, symlinks=True, with_pip=False)
    venv_pack.pack(prefix=str(folder), output=str(target))
    with tarfile.open(target) as archive:
        links = [member.linkname for member in archive if member.issym() and member.name.startswith("bin/python")]
    assert any(Path(link).is_absolute() for link in links)
    return target


@pytest.mark.process
def test_a_model_runs_in_it(tmp_path: Path) -> None:
    model = tmp_path / "models" / "plain"
    model.mkdir(parents=True)
    (model / "model.py").write_text(MODEL)
    parameters = {"environment_tarball": "environment.tar.gz"}
    settings = {"name": "plain", "implementation": "model.Told", "parameters": parameters}
    (model / "model-settings.json").write_text(json.dumps(settings))
    pack(tmp_path / "environment", model / "environment.tar.gz")
    unpacked = tmp_path / "unpacked"
    with ServerProcess(model, environ={"OIPSERVER_ENVIRONMENTS_DIR": str(unpacked)}) as server:
        where, word = told(server, "plain")
    assert (Path(where).parent, word) == (unpacked, "here")


def tarball(path: Path, *links: tuple[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
        info = tarfile.TarInfo("bin/notes.txt")
        info.size = 2
        archive.addfile(info, BytesIO(b"hi"))
    return path


def interpreter_of(packed: Path, folder: Path) -> Path:
    return asyncio.run(Environments(folder).interpreter_of(packed, "m"))


def test_the_link_is_made(tmp_path: Path) -> None:
    packed = tarball(tmp_path / "e.tar.gz", ("bin/python", "python3"), ("./bin/python3", sys.executable))
    path = interpreter_of(packed, tmp_path / "unpacked")
    assert subprocess.run([path, "-c", "print(1)"], capture_output=True, text=True, check=True).stdout == "1\n"


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        (
            ("bin/python3", "/nowhere/bin/python3"),
            "its bin/python3 is /nowhere/bin/python3, which is not on this machine",
        ),
        (("bin/pip", sys.executable), "'bin/pip' is a link to '.*', out of the environment"),
        (("lib", "/etc"), "'lib' is a link to '/etc', out of the environment"),
        (("lib/bin/python3", sys.executable), "'lib/bin/python3' is a link to '.*', out of the environment"),
        (("bin/python3", "../../outside"), "'bin/python3' is a link to '../../outside', out of the environment"),
    ],
)
def test_no_other_link_leaves(tmp_path: Path, link: tuple[str, str], complaint: str) -> None:
    packed = tarball(tmp_path / "e.tar.gz", link)
    with pytest.raises(ModelLoadError, match=complaint):
        interpreter_of(packed, tmp_path / "unpacked")
