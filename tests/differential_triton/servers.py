"""Triton and oipserver on one repository of models; knows nothing of the requests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.support.peer_process import Address, free_ports, peer
from tests.support.server_process import ServerProcess

from .environment import VERSION, Installed

OPTIONS = ("--model-control-mode=explicit", "--load-model=*")


def _listens(http: str) -> bool:
    """Whether Triton's models are loaded: it does not listen before."""
    httpx.get(f"http://{http}/v2/health/live", timeout=5)
    return True


@contextlib.contextmanager
def triton(installed: Installed, repository: Path, log: Path) -> Iterator[Address]:
    """Triton with its own defaults, on free ports of the loopback interface."""
    ports = free_ports(3)
    command = [str(installed.binary), f"--model-repository={repository}", f"--backend-directory={installed.backends}"]
    command += [*OPTIONS, "--exit-on-error=false"]
    for name, port in zip(("http", "grpc", "metrics"), ports, strict=True):
        command += [f"--{name}-port={port}", f"--{name}-address=127.0.0.1"]
    address = Address(f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}")
    with peer(command, log, lambda: _listens(address.http), environ=installed.environ):
        yield address


@contextlib.contextmanager
def oipserver(repository: Path) -> Iterator[Address]:
    """oipserver under Triton's name, on the same repository."""
    named = ("--server-name", "triton", "--server-version", VERSION)
    with ServerProcess(repository, "--model-repository", str(repository), *OPTIONS, *named) as server:
        yield Address(server.http, server.grpc)
        server.stop()
