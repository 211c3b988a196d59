"""``oipserver init``: what it makes starts, answers and passes its own test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from oipserver.cli import main
from tests.support.server_process import ServerProcess


@pytest.mark.process
def test_what_it_makes_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "some" / "my-model"
    assert main(["init", str(folder)]) == 0
    assert f"oipserver start {folder}" in capsys.readouterr().out
    with ServerProcess(folder) as server:
        request = json.loads((folder / "request.json").read_text())
        answer = httpx.post(server.url("/v2/models/my-model/infer"), json=request, timeout=30).json()
        assert server.stop() == 0
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("first", "my-model", "1")
    assert answer["outputs"][0]["data"] == [2.0, 5.0, 8.0]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_model.py"]
    tested = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert tested.returncode == 0, tested.stdout


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["init", str(tmp_path)]) == 1
    assert "is not empty: nothing was written" in capsys.readouterr().err
    assert main(["init", str(tmp_path / "mine.txt")]) == 1
    assert "is a file" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        ([], 2, "the following arguments are required: FOLDER"),
        (["a", "b"], 2, "unexpected argument 'b'"),
        (["no spaces"], 1, "'no spaces' cannot name a model"),
        (["/proc/nothing-here/x"], 1, "cannot write"),
    ],
)
def test_mistakes(words: list[str], code: int, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", *words]) == code
    assert complaint in capsys.readouterr().err


def test_a_folder_that_is_there_and_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["init", "."]) == 0
    assert json.loads(Path("model-settings.json").read_text())["name"] == "here"
