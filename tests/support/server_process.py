"""A real server as a process, for tests: started from the command line a user types, stopped by a signal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import httpx

START_SECONDS = 60.0
STOP_SECONDS = 40.0


class ServerProcess:
    """``oipserver start`` on free loopback ports; ``http``, ``grpc``, ``metrics`` are host:port."""

    def __init__(
        self,
        root: Path | str,
        *options: str,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ports: Sequence[str] = ("--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"),
    ) -> None:
        self.root = str(root)
        given = ["--host", "127.0.0.1", *ports, self.root, *options]
        self.command = [sys.executable, "-m", "oipserver", "start", *given]
        self._environ = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120", **(environ or {})}
        self._cwd = cwd
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self.http = self.grpc = self.metrics = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def url(self, path: str) -> str:
        return f"http://{self.http}{path}"

    def __enter__(self) -> ServerProcess:
        self.spawn()
        self.wait_started()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        self._finish()

    def spawn(self) -> None:
        """Start the process, not waiting for anything."""
        self._process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self._environ, cwd=self._cwd
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for_output(self, pattern: str, seconds: float = START_SECONDS) -> re.Match[str]:
        """The first match of ``pattern`` in what the server prints."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while (found := re.search(pattern, self.output)) is None:
                left = deadline - time.monotonic()
                if left <= 0 or (self._process is not None and self._process.poll() is not None and not self._alive()):
                    raise AssertionError(f"the server did not print {pattern!r}; it printed:\n{self.output}")
                self._changed.wait(min(left, 1.0))
        return found

    def _alive(self) -> bool:
        return self._reader is not None and self._reader.is_alive()

    def wait_started(self) -> None:
        """Wait for the start-up report, and learn the ports from it."""
        found = self.wait_for_output(r"/v2/docs")
        assert found
        self.http = self._address(r"REST\s+https?://(\S+?:\d+)")
        self.grpc = self._address(r"gRPC\s+(?:grpc://|http://)?(\S+?:\d+)")
        self.metrics = self._address(r"[Mm]etrics\s+https?://(\S+?:\d+)")

    def _address(self, pattern: str) -> str:
        found = re.search(pattern, self.output)
        return found.group(1) if found else ""

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        code = self.process.wait(seconds)
        self._finish()
        return code

    def _finish(self) -> None:
        if self._process is None:
            return
        self._process.wait(10)
        if self._reader is not None:
            self._reader.join(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url(path), timeout=30)

    def infer(self, model: str, body: object) -> httpx.Response:
        return httpx.post(self.url(f"/v2/models/{model}/infer"), json=body, timeout=60)
