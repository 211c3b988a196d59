"""Fixtures shared by all tests: the folders of the project, and servers as processes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.support.server_process import ServerProcess

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"

# A machine that is busy makes an example slow, not wrong; what passed once passes again, unless one wants to explore.
hypothesis.settings.register_profile("oipserver", deadline=None, derandomize=not os.environ.get("OIPSERVER_EXPLORE"))
hypothesis.settings.load_profile("oipserver")


@pytest.fixture
def serve() -> Iterator[Callable[..., ServerProcess]]:
    """Starts servers (see ServerProcess) that end with the test."""
    with ExitStack() as stack:

        def start(root: Path | str, *options: str, **more: Any) -> ServerProcess:
            return stack.enter_context(ServerProcess(root, *options, **more))

        yield start


@pytest.fixture(scope="session")
def examples_server() -> Iterator[ServerProcess]:
    """One server over the ONNX examples, for every test that only asks."""
    with ServerProcess(EXAMPLES) as server:
        yield server


@pytest.fixture(scope="session")
def mlflow_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models that MLflow saved (see tests/support/mlflow_models.py), and beside it what MLflow answers."""
    pytest.importorskip("mlflow", reason="MLflow is not installed: pip install mlflow")
    folder = tmp_path_factory.mktemp("mlflow") / "models"
    folder.mkdir()
    torch = ["--torch"] if importlib.util.find_spec("torch") else []
    command = [sys.executable, str(ROOT / "tests" / "support" / "mlflow_models.py"), str(folder), *torch]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder.parent)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="session")
def mlflow_server(mlflow_models: Path) -> Iterator[ServerProcess]:
    """One server over these models, for every test that only asks."""
    with ServerProcess(mlflow_models) as server:
        yield server
