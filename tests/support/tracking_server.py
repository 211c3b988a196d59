"""A real MLflow tracking server on SQLite as a process, for tests."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import httpx

from tests.support.peer_process import free_ports, peer

_STOP_SECONDS = 3.0  # it may wait much longer for connections that clients keep


class TrackingServer:
    """``mlflow server`` with everything it keeps in ``folder``; ``url`` is where it listens, on loopback.

    ``proxied``: artifacts go through it, and clients see no folder.
    """

    def __init__(self, folder: Path, *, proxied: bool = False) -> None:
        (self._port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self._port}"
        self._folder = folder
        self._artifacts = "--artifacts-destination" if proxied else "--default-artifact-root"
        self._running = ExitStack()

    def __enter__(self) -> TrackingServer:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self._folder}/mlflow.db"]
        command += [self._artifacts, str(self._folder / "artifacts")]
        log = self._folder / "tracking.log"
        self._running.enter_context(peer(command, log, self._answers, stop_seconds=_STOP_SECONDS))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def _answers(self) -> bool:
        return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
