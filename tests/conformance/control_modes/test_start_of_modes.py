"""What each mode loads when the server starts, from one repository and from several, and when it is ready."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.model_repository.clients import WIRES, Client, replace, write_mlserver_model, write_model
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process


def states(client: Client) -> dict[str, str]:
    return {row["name"]: row.get("state", "") for row in client.index()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_model(tmp_path / "models" / "a", 1.0)
    write_model(tmp_path / "models" / "b", 2.0)
    write_mlserver_model(tmp_path / "models" / "c", 3.0)
    return tmp_path / "models"


def test_explicit_mode_loads_what_is_named(root: Path, serve: Callable[..., ServerProcess]) -> None:
    server = serve(root, "--model-control-mode=explicit", "--load-model=a", "--load-model", "c")
    for client in (Client(wire, server) for wire in WIRES):
        assert states(client) == {"a": "READY", "b": "", "c": "READY"}
        assert client.client.is_server_ready()
    server = serve(root, "--model-control-mode=explicit", "--load-model=*")
    assert set(states(Client("http", server)).values()) == {"READY"}


def test_a_model_that_is_named_but_not_there(root: Path, serve: Callable[..., ServerProcess]) -> None:
    server = serve(root, "--model-control-mode=explicit", "--load-model=a", "--load-model=later")
    assert "model 'later' is to be loaded but not in the repository" in server.output
    client = Client("grpc", server)
    assert not client.client.is_server_ready()
    write_model(root / "later", 4.0)
    client.client.load_model("later")
    assert client.client.is_server_ready()
    assert client.added("later") == 4


def test_readiness_may_be_that_of_the_server_alone(root: Path, serve: Callable[..., ServerProcess]) -> None:
    replace(root / "a" / "1" / "model.onnx", b"no onnx")
    for strict in ("true", "false"):
        server = serve(root, "--model-control-mode=none", f"--strict-readiness={strict}")
        client = Client("http", server)
        assert client.client.is_server_ready() is (strict == "false")
        assert states(client) == {"a": "UNAVAILABLE", "b": "READY", "c": "READY"}


def test_several_repositories(root: Path, tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    second = tmp_path / "second"
    write_model(second / "b", 20.0)
    write_model(second / "d", 4.0)
    server = serve(root, "--model-repository", str(second), "--model-control-mode=explicit", "--load-model=*")
    client = Client("http", server)
    assert states(client) == {"a": "READY", "b": "UNAVAILABLE", "c": "READY", "d": "READY"}
    assert f"model 'b' is in more than one repository: {root} and {second}" in server.output.replace("\n  ", " ")
    assert (client.added("a"), client.added("d")) == (1, 4)
    for file in (root / "b").rglob("*"):
        if file.is_file():
            file.unlink()
    client.client.load_model("b")
    assert client.added("b") == 20


def test_servers_that_are_switched_off(root: Path) -> None:
    ports = ("--http-port=0", "--grpc-port=0", "--metrics-port=0")
    server = ServerProcess(root, "--allow-http=false", "--allow-metrics", "false", ports=ports)
    server.spawn()
    try:
        address = server.wait_for_output(r"gRPC\s+(\S+?:\d+)")
        assert "REST" not in server.output
        assert "Metrics" not in server.output
        server.grpc = address[1]
        assert Client("grpc", server).added("a") == 1
        assert server.stop() == 0
    finally:
        server.__exit__(None, None, None)


def test_flags_without_effect_are_told_in_one_line(root: Path, serve: Callable[..., ServerProcess]) -> None:
    server = serve(root, "--http-thread-count=8", "--rate-limit", "off", "--log-error=true")
    (line,) = [line for line in server.output.splitlines() if "without effect" in line]
    assert line.endswith("--http-thread-count, --rate-limit, --log-error")
