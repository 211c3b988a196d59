"""A server of somebody else's as a process, for tests: on free ports, waited for, and ended with all its children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server answers, as host:port."""

    http: str
    grpc: str


def free_ports(count: int) -> list[int]:
    """So many ports of the loopback interface that nobody listens on now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@contextmanager
def peer(
    command: Sequence[str],
    log: Path,
    ready: Callable[[], bool],
    *,
    environ: Mapping[str, str] | None = None,
    stop_seconds: float = 40.0,
) -> Iterator[None]:
    """``command`` in the folder of ``log``, to which it prints, while inside; ``ready`` asks whether it is up.

    Raises AssertionError with what it printed where it does not come up.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environ, cwd=log.parent, start_new_session=True
        )
    try:
        _wait(process, ready, log)
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(stop_seconds)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what is left of it, or of its workers
        process.wait()


def _wait(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.HTTPError):
            if ready():
                return
        time.sleep(0.1)  # nothing else tells when servers of others are up
    raise AssertionError(f"{process.args!r} did not start; it printed:\n{log.read_text()[-3000:]}")
