"""Both servers on one folder of models; knows nothing of the requests."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.server_process import ServerProcess

MODELS = Path(__file__).parent / "models"
START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server answers, as host:port."""

    http: str
    grpc: str


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("OIPSERVER_", "MLSERVER_"))}


def _wait_ready(process: subprocess.Popen[bytes], http: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        # Every model must be there: MLServer says that it is ready before it knows of any.
        with contextlib.suppress(httpx.HTTPError):
            rows = httpx.post(f"http://{http}/v2/repository/index", json={}, timeout=5).json()
            if rows and all(row["state"] == "READY" for row in rows):
                return
        time.sleep(0.1)  # nothing of MLServer's tells when it is up
    raise AssertionError(f"MLServer did not start; it printed:\n{log.read_text()[-3000:]}")


@contextlib.contextmanager
def mlserver(environment: Path, workers: int, log: Path) -> Iterator[Address]:
    """MLServer with its own defaults, but for debug, which 1.7.1 has on, and ``workers``."""
    ports = _free_ports(3)
    environ = _inherited() | {"MLSERVER_PARALLEL_WORKERS": str(workers)}
    environ |= dict(
        zip(("MLSERVER_HTTP_PORT", "MLSERVER_GRPC_PORT", "MLSERVER_METRICS_PORT"), map(str, ports), strict=True)
    )
    environ["MLSERVER_METRICS_DIR"] = str(log.parent)
    command = [str(environment / "bin" / "mlserver"), "start", str(MODELS)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environ, cwd=log.parent, start_new_session=True
        )
    try:
        address = Address(f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}")
        _wait_ready(process, address.http, log)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


@contextlib.contextmanager
def oipserver(workers: int, settings: Mapping[str, str]) -> Iterator[Address]:
    """oipserver with ``settings``, the ones that a user of MLServer would set to keep what differs by default."""
    environ = {f"OIPSERVER_{name.upper()}": value for name, value in settings.items()}
    with ServerProcess(MODELS, "--parallel-workers", str(workers), environ=environ) as server:
        yield Address(server.http, server.grpc)
        server.stop()
