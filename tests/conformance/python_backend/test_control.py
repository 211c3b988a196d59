"""Models of Triton's Python backend that load and unload others, and whose callers leave."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

MODELS = Path(__file__).parent / "control_models"


@pytest.fixture(params=["workers", "in-process"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    shutil.copytree(MODELS, tmp_path / "models")
    options = ["--parallel-workers", "0"] if request.param == "in-process" else []
    explicit = ("--model-control-mode", "explicit", "--load-model", "loader")
    with ServerProcess(tmp_path / "models", *explicit, *options) as process:
        yield process


def ask(server: ServerProcess, what: str, seconds: float = 20) -> str:
    body = {"inputs": [{"name": "WHAT", "shape": [1], "datatype": "BYTES", "data": [what]}]}
    answer = httpx.post(server.url("/v2/models/loader/infer"), json=body, timeout=seconds)
    assert answer.status_code == 200, answer.text
    said: str = answer.json()["outputs"][0]["data"][0]
    return said


def test_loading_and_unloading(server: ServerProcess) -> None:
    assert ask(server, "ready") == "False"
    assert "is not found" in ask(server, "ask") or "not ready" in ask(server, "ask")
    assert ask(server, "load") == "True"
    assert ask(server, "ask") == "1"
    assert ask(server, "load another") == "True"
    assert ask(server, "ask") == "2"
    assert ask(server, "unload") == "False"
    assert "failed: failed to load 'nobody'" in ask(server, "load nobody")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 15
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.02)


def test_a_client_that_leaves_is_noticed_at_the_end_of_the_chain(server: ServerProcess, tmp_path: Path) -> None:
    assert ask(server, "load") == "True"
    with pytest.raises(httpx.ReadTimeout):
        ask(server, "wait", seconds=0.5)
    wait_for(tmp_path / "models" / "number" / "began")
    wait_for(tmp_path / "models" / "number" / "given-up")
    assert ask(server, "ask") == "1"
