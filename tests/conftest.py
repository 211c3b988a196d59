"""Fixtures shared by all tests: the folders of the project, and servers as processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.server_process import ServerProcess

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


@pytest.fixture
def serve() -> Iterator[Callable[..., ServerProcess]]:
    """Starts servers (see ServerProcess) that end with the test."""
    with ExitStack() as stack:

        def start(root: Path, *options: str, **more: Any) -> ServerProcess:
            return stack.enter_context(ServerProcess(root, *options, **more))

        yield start


@pytest.fixture(scope="session")
def examples_server() -> Iterator[ServerProcess]:
    """One server over the ONNX examples, for every test that only asks."""
    with ServerProcess(EXAMPLES) as server:
        yield server
