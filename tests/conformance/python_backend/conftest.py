"""Servers over the models of this folder: in workers of their own, and in the server's process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.wires import WIRES, Wire
from tests.support.server_process import ServerProcess

MODELS = Path(__file__).parent / "models"


@pytest.fixture(scope="session", params=["workers", "in-process"])
def python_server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    options = ("--parallel-workers", "0") if request.param == "in-process" else ()
    with ServerProcess(MODELS, *options) as process:
        yield process


@pytest.fixture(params=WIRES)
def asking(request: pytest.FixtureRequest, python_server: ServerProcess) -> Iterator[Wire]:
    """Triton's client for one wire."""
    opened = Wire(request.param, python_server)
    yield opened
    opened.close()
