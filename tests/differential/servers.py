"""Both servers on one folder of models; knows nothing of the requests."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from tests.support.peer_process import Address, free_ports, peer
from tests.support.server_process import ServerProcess

MODELS = Path(__file__).parent / "models"


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("OIPSERVER_", "MLSERVER_"))}


def _ready(http: str) -> bool:
    """Whether every model is there: MLServer says that it is ready before it knows of any."""
    rows = httpx.post(f"http://{http}/v2/repository/index", json={}, timeout=5).json()
    return bool(rows) and all(row["state"] == "READY" for row in rows)


@contextlib.contextmanager
def mlserver(environment: Path, workers: int, log: Path) -> Iterator[Address]:
    """MLServer with its own defaults, but for debug, which 1.7.1 has on, and ``workers``."""
    ports = free_ports(3)
    environ = _inherited() | {"MLSERVER_PARALLEL_WORKERS": str(workers)}
    environ |= dict(
        zip(("MLSERVER_HTTP_PORT", "MLSERVER_GRPC_PORT", "MLSERVER_METRICS_PORT"), map(str, ports), strict=True)
    )
    environ["MLSERVER_METRICS_DIR"] = str(log.parent)
    command = [str(environment / "bin" / "mlserver"), "start", str(MODELS)]
    address = Address(f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}")
    with peer(command, log, lambda: _ready(address.http), environ=environ):
        yield address


@contextlib.contextmanager
def oipserver(workers: int, settings: Mapping[str, str]) -> Iterator[Address]:
    """oipserver with ``settings``, the ones that a user of MLServer would set to keep what differs by default."""
    environ = {f"OIPSERVER_{name.upper()}": value for name, value in settings.items()}
    with ServerProcess(MODELS, "--parallel-workers", str(workers), environ=environ) as server:
        yield Address(server.http, server.grpc)
        server.stop()
