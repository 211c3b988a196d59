"""Servers over the same graphs in both layouts, one process for each, shared by every test that only asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.same_models import LAYOUTS, write_models
from tests.conformance.wires import WIRES, Wire
from tests.support.server_process import ServerProcess


@pytest.fixture(scope="session", params=LAYOUTS)
def layout_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server over ``same_models`` in one of the layouts."""
    root = tmp_path_factory.mktemp(request.param)
    write_models(root, request.param)
    with ServerProcess(root, "--parallel-workers", "1") as process:
        yield process


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest, layout_server: ServerProcess) -> Iterator[Wire]:
    """Triton's client for one wire, connected to ``layout_server``."""
    opened = Wire(request.param, layout_server)
    yield opened
    opened.close()
