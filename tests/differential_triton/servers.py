"""Triton and oipserver on one repository of models; knows nothing of the requests."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.server_process import ServerProcess

from .environment import VERSION, Installed

START_SECONDS = 120.0
OPTIONS = ("--model-control-mode=explicit", "--load-model=*")


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


def _wait_started(process: subprocess.Popen[bytes], http: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(f"http://{http}/v2/health/live", timeout=5)  # it listens once its models are loaded
            return
        time.sleep(0.1)  # nothing of Triton's tells when it is up
    raise AssertionError(f"Triton did not start; it printed:\n{log.read_text()[-3000:]}")


@contextlib.contextmanager
def triton(installed: Installed, repository: Path, log: Path) -> Iterator[Address]:
    """Triton with its own defaults, on free ports of the loopback interface."""
    ports = _free_ports(3)
    command = [str(installed.binary), f"--model-repository={repository}", f"--backend-directory={installed.backends}"]
    command += [*OPTIONS, "--exit-on-error=false"]
    for name, port in zip(("http", "grpc", "metrics"), ports, strict=True):
        command += [f"--{name}-port={port}", f"--{name}-address=127.0.0.1"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=installed.environ, cwd=log.parent
        )
    try:
        address = Address(f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}")
        _wait_started(process, address.http, log)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def oipserver(repository: Path) -> Iterator[Address]:
    """oipserver under Triton's name, on the same repository."""
    named = ("--server-name", "triton", "--server-version", VERSION)
    with ServerProcess(repository, "--model-repository", str(repository), *OPTIONS, *named) as server:
        yield Address(server.http, server.grpc)
        server.stop()
