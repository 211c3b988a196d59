"""What docs/triton-repository.md shows is so: its configuration is served, its backends and settings exist."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from oipserver.configuration import DEFAULT_FILES
from oipserver.configuration.backends import BACKENDS
from oipserver.settings import Settings
from oipserver.settings.sources import option_name
from tests.docs.test_pages import ROOT, blocks
from tests.support.server_process import ServerProcess

PAGE = (ROOT / "docs" / "triton-repository.md").read_text()


@pytest.mark.process
def test_the_example_is_served(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    folder = tmp_path / "adder"
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(blocks("triton-repository.md", "file")["config.pbtxt"])
    shutil.copy(ROOT / "examples" / "onnx-add" / "model.onnx", folder / "1")
    server = serve(tmp_path)
    told = server.get("/v2/models/adder/config").json()
    assert (told["max_batch_size"], told["instance_group"][0]["count"]) == (8, 2)
    assert told["dynamic_batching"]["max_queue_delay_microseconds"] == 100


def test_the_backends_are_those_there_are() -> None:
    rows = re.findall(r"^\| (?:`(\w+)`)? *\| (?:`(\w+)`)? *\| (?:`([\w.]+)`)? *\|", PAGE, re.MULTILINE)
    served = {(each.name, each.platform, each.filename) for each in BACKENDS if each.implementation}
    assert set(rows) - {("", "", "")} >= served
    assert {file for _, _, file in served if file} <= DEFAULT_FILES


def test_the_flags_exist() -> None:
    options = {option_name(field) for field in Settings.model_fields}
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= options
