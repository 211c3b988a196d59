"""What docs/model-repository.md shows is so: its commands run, its flags and settings exist."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from oipserver.cli.triton_flags import FLAGS
from oipserver.settings import Settings
from oipserver.settings.sources import option_name
from tests.conformance.model_repository.clients import write_model
from tests.support.server_process import ServerProcess

PAGE = (Path(__file__).parents[2] / "docs" / "model-repository.md").read_text()
STEP = re.compile(r"<!-- run -->\n```sh\n(.*?)```\n\n<!-- answer -->\n```json\n(.*?)```", re.DOTALL)


@pytest.mark.process
def test_the_commands_answer_as_shown(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    write_model(tmp_path / "adder", 1.0)
    server = serve(tmp_path)
    steps = STEP.findall(PAGE)
    assert len(steps) == PAGE.count("<!-- run -->") > 2
    for command, answer in steps:
        command = command.replace("localhost:8080", server.http)
        done = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, timeout=30, check=True)
        assert done.stdout.strip() == answer.strip()


def test_every_flag_and_setting_exists() -> None:
    options = {option_name(field) for field in Settings.model_fields}
    table = PAGE[PAGE.index("| flag |") :]
    assert set(re.findall(r"`(--[a-z-]+)`", table)) <= options | set(FLAGS)
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| `--")]
    assert {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)} <= set(Settings.model_fields)
