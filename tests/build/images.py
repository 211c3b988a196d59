"""Images that `oipserver build` makes and the containers that run them, as tests have them in their hands."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

# Any user without a right, and nothing to write to: as clusters run containers.
AS_CLUSTERS_DO = (
    *("--read-only", "--user", "1234567:0", "--cap-drop", "all", "--security-opt", "no-new-privileges"),
    *("--health-interval", "disable"),
)


@dataclass
class Image:
    """What was built with which options, what building it said, and the environment in which podman finds it."""

    tag: str
    environment: dict[str, str]
    options: list[str]
    told: str

    def podman(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            ["podman", *words], env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip()


@dataclass
class Container:
    """A running server: ``http`` and ``grpc`` are host:port."""

    image: Image
    name: str
    http: str
    grpc: str

    def infer(self, model: str, body: object) -> httpx.Response:
        return httpx.post(f"http://{self.http}/v2/models/{model}/infer", json=body, timeout=60)

    def exit_code(self) -> str:
        return self.image.podman("inspect", "--format", "{{.State.ExitCode}}", self.name)


def build(folder: Path, tag: str, environment: dict[str, str], options: list[str], network: str = "none") -> Image:
    """Build as a user does, without network where it needs none."""
    command = [sys.executable, "-m", "oipserver", "build", str(folder), "-t", tag, "--builder", "podman", *options]
    command += ["--", "--network", network, "--layers=false"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return Image(tag, environment, options, done.stdout)


@contextmanager
def running(image: Image) -> Iterator[Container]:
    """A container of ``image`` whose server is ready."""
    http, grpc, metrics = _free_ports(3)
    variables = {"HOST": "127.0.0.1", "HTTP_PORT": http, "GRPC_PORT": grpc, "METRICS_PORT": metrics}
    name = f"oipserver-test-{http}"
    image.podman(
        *("run", "--detach", "--name", name, "--network", "host", *AS_CLUSTERS_DO),
        *(word for key, value in variables.items() for word in ("--env", f"OIPSERVER_{key}={value}")),
        image.tag,
    )
    made = Container(image, name, f"127.0.0.1:{http}", f"127.0.0.1:{grpc}")
    try:
        _wait_ready(made)
        yield made
    finally:
        image.podman("rm", "--force", "--time", "0", name, check=False)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait_ready(container: Container) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if httpx.get(f"http://{container.http}/v2/health/ready", timeout=5).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(container.image.podman("logs", container.name))
