"""The client of docs/shared-memory.md, run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.models import write_identity_model
from tests.support.server_process import ServerProcess

PAGE = Path(__file__).parents[2] / "docs" / "shared-memory.md"


@pytest.mark.process
@pytest.mark.parametrize("wire", ["http", "grpc"])
def test_the_client_gets_its_tensor_back(tmp_path: Path, serve: Callable[..., ServerProcess], wire: str) -> None:
    write_identity_model(tmp_path / "identity", "FP32", 2)
    server = serve(tmp_path)
    found = re.search(r"<!-- run: shared-memory -->\s*```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    code = (
        found.group(1)
        .replace("localhost:8080", getattr(server, wire))
        .replace("tritonclient.http", f"tritonclient.{wire}")
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout
    assert told.split() == ["[[0.", "1.", "2.", "3.]", "[4.", "5.", "6.", "7.]]"]
