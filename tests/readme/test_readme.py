"""The README's commands do what it says, and its answer is the true one."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from docs.readme_command import command
from tests.support.server_process import ServerProcess

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def shown_answer(label: str) -> str:
    found = re.search(rf"<!-- answer: {label} -->\s*```\w*\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found.group(1).strip()


@pytest.mark.process
def test_serve_and_ask() -> None:
    """The serve command's second half, and the question with its answer; the ports alone differ."""
    install, start = command("serve").split("&&")
    assert install.strip() == 'pip install ".[onnx]"'
    program, verb, folder = shlex.split(start)
    assert (program, verb) == ("oipserver", "start")
    with ServerProcess(ROOT / folder) as server:
        question = command("ask").replace("localhost:8080", server.http)
        answer = subprocess.run(question, shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert json.loads(answer) == json.loads(shown_answer("ask"))
    assert answer.strip() == shown_answer("ask")


def test_readme_is_one_screen() -> None:
    assert README.count("\n") < 80


def test_ci_runs_the_readmes_test_command() -> None:
    assert command("test") == 'pip install -e ".[onnx,dev]" && pytest'
    assert "readme_command.py test" in (ROOT / ".ci" / "run").read_text()


def test_nothing_says_where_packages_came_from() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    assert not [name for name in files if name.endswith((".lock", "pip.conf", ".npmrc")) or "package-lock" in name]
