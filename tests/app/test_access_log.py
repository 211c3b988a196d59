"""Access logs: every request a line while debugging, none else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

MODEL = """
from oipserver import MLModel

class Echo(MLModel):
    def infer_tensors(self, inputs, outputs, parameters):
        return inputs
"""
REQUEST = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}


@pytest.mark.parametrize("options", [(), ("--debug", "--use-structured-logging")], ids=["plain", "debug"])
def test_requests_are_logged_while_debugging(
    options: tuple[str, ...], tmp_path: Path, serve: Callable[..., ServerProcess]
) -> None:
    (tmp_path / "echo.py").write_text(MODEL)
    settings = {"name": "m", "implementation": "echo.Echo", "parallel_workers": 0}
    (tmp_path / "model-settings.json").write_text(json.dumps(settings))
    server = serve(tmp_path, *options)
    assert server.infer("m", REQUEST).status_code == 200
    assert server.get("/v2/models/m").status_code == 200
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]
    told = [line["message"].partition(" - ")[2] for line in lines if line["logger"] == "uvicorn.access"]
    wanted = ['"POST /v2/models/m/infer HTTP/1.1" 200', '"GET /v2/models/m HTTP/1.1" 200']
    assert told == (wanted if options else [])
    assert "HTTP/1.1" not in server.output or options
