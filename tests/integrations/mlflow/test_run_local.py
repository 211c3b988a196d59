"""``mlflow deployments run-local``: a server of its own in the foreground, until it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("mlflow", reason="the plugin needs MLflow")
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException

from oipserver.integrations.mlflow.plugin import run_local, target_help
from tests.support.peer_process import free_ports

pytestmark = pytest.mark.process


def ready(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_of_its_own(number: signal.Signals, registry: Path) -> None:
    (port,) = free_ports(1)
    code = (
        "from oipserver.integrations.mlflow.plugin import run_local;"
        f"run_local('m', 'models:/matrix@champion', None, {{'port': '{port}'}})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not ready(f"http://127.0.0.1:{port}/v2/models/m/ready"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        client: Any = get_deploy_client(f"oip://127.0.0.1:{port}")
        assert client.predict("m", {"x": [[1.0] * 64]})["outputs"]["y"] == [[64.0] * 8]
        # A terminal tells everybody of an interrupt, a supervisor only the process that it started of the end.
        (os.killpg if number is signal.SIGINT else os.kill)(process.pid, number)
        process.wait(30)
        assert not ready(f"http://127.0.0.1:{port}/v2/health/live")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def test_what_cannot_be_served(registry: Path) -> None:
    with pytest.raises(MlflowException, match="nobody"):
        run_local("m", "models:/nobody/1")


def test_the_help_names_every_option_and_flavor() -> None:
    from oipserver.integrations.mlflow.flavors import FLAVORS
    from oipserver.integrations.mlflow.options import Options

    options = set(Options.__dataclass_fields__) - {"model"}
    assert not [name for name in options | set(FLAVORS) if name not in target_help()]
