"""The life of a server process: what it says when it cannot start, when it is ready, and how it stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support.models import write_identity_model
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

SLEEPER = """
import asyncio
import time
from pathlib import Path

from oipserver import MLModel
from oipserver.types import InferenceResponse, ResponseOutput


class Sleeper(MLModel):
    async def load(self):
        gate = Path(__file__).parent / "gate"
        while gate.exists():
            await asyncio.sleep(0.01)

    async def predict(self, payload):
        await asyncio.sleep(payload.inputs[0].data[0])
        return InferenceResponse(model_name=self.name, outputs=[
            ResponseOutput(name="y", shape=[1], datatype="FP32", data=[payload.inputs[0].data[0]])])


class Broken(MLModel):
    async def load(self):
        raise ValueError("no weights")
"""


def write_python_model(root: Path, name: str, kind: str, **settings: object) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "sleeper.py").write_text(SLEEPER)
    (folder / "model-settings.json").write_text(
        json.dumps({"name": name, "implementation": f"sleeper.{kind}", **settings})
    )
    return folder


def body(seconds: float) -> dict[str, object]:
    return {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [seconds]}]}


def ask_and_forget(server: ServerProcess, seconds: float) -> None:
    """Ask ``slow`` something in the background that the server will not live to answer."""

    def ask() -> None:
        with suppress(httpx.TransportError):
            server.infer("slow", body(seconds))

    threading.Thread(target=ask, daemon=True).start()
    in_flight(server, "slow")


def in_flight(server: ServerProcess, *models: str) -> None:
    """Wait until each of ``models`` has a request in flight."""
    deadline = time.monotonic() + 15
    lines = [f'oipserver_requests_in_flight{{model="{model}",version="None"}} 1.0' for model in models]
    while time.monotonic() < deadline:
        text = httpx.get(f"http://{server.metrics}/metrics").text
        if all(line in text for line in lines):
            return
        time.sleep(0.02)
    raise AssertionError(f"no request came in flight for {models}")


def start_fails(root: Path, *options: str, **environ: str) -> str:
    """The one line a start that fails prints; its exit code is not 0."""
    command = [sys.executable, "-m", "oipserver", "start", str(root), "--host", "127.0.0.1"]
    ports = [] if any("port" in option for option in options) else ["--http-port=0", "--grpc-port=0"]
    done = subprocess.run(
        [*command, *ports, "--metrics-port=0", *options],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environ},
    )
    assert done.returncode not in (0, -signal.SIGKILL), done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("oipserver: error: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in lines[0]
    return lines[0]


def test_what_stops_a_start_is_one_clear_line(tmp_path: Path) -> None:
    assert "nowhere" in start_fails(tmp_path / "nowhere")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "model-settings.json").write_text('{"name": "m",\n "implementation": "onnx",}')
    assert "model-settings.json" in (line := start_fails(broken))
    assert "line 2" in line
    (broken / "model-settings.json").write_text('{"name": "m", "implementation": "nothing.Here"}')
    assert "'nothing'" in start_fails(broken)
    (broken / "settings.json").write_text('{"log_level": "loud"}')
    assert "log_level" in start_fails(broken)


def test_a_port_in_use(tmp_path: Path) -> None:
    write_identity_model(tmp_path / "m", "FP32", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for option in ("--http-port", "--grpc-port"):
            other = "--grpc-port" if option == "--http-port" else "--http-port"
            line = start_fails(tmp_path, f"{option}={port}", f"{other}=0")
            assert port in line
            assert option in line


def test_one_model_fails_and_the_others_serve(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    write_identity_model(tmp_path / "good", "FP32", 1)
    write_python_model(tmp_path, "bad", "Broken", parallel_workers=0)
    server = serve(tmp_path)
    assert "no weights" in server.output
    ready = server.get("/v2/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"ready": False})
    assert server.get("/v2/health/live").json() == {"live": True}
    assert server.get("/v2/models/good/ready").status_code == 200
    answer = server.infer("bad", body(0))
    assert answer.status_code == 503
    assert "no weights" in answer.json()["error"]
    assert "Traceback" not in answer.text
    rows = {row["name"]: row for row in httpx.post(server.url("/v2/repository/index"), json={}).json()}
    assert rows["bad"]["state"] == "UNAVAILABLE"
    assert "no weights" in rows["bad"]["reason"]
    assert server.stop() == 0
    assert "no weights" in start_fails(tmp_path, "--exit-on-error")


def test_live_while_loading_and_ready_when_loaded(tmp_path: Path) -> None:
    folder = write_python_model(tmp_path, "slow", "Sleeper")
    (folder / "gate").touch()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ServerProcess(tmp_path, ports=["--http-port", str(port), "--grpc-port", "0", "--metrics-port", "0"])
    server.spawn()
    try:
        server.http = f"127.0.0.1:{port}"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                live = server.get("/v2/health/live")
                break
            except httpx.TransportError:
                time.sleep(0.02)
        assert live.status_code == 200
        assert server.get("/v2/health/ready").status_code == 503
        assert server.infer("slow", body(0)).status_code == 503
        (folder / "gate").unlink()
        server.wait_started()
        assert server.get("/v2/health/ready").status_code == 200
        assert server.infer("slow", body(0)).status_code == 200
    finally:
        server.__exit__(None, None, None)


def test_sigterm_lets_what_is_in_flight_finish(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    write_python_model(tmp_path, "worker", "Sleeper")
    write_python_model(tmp_path, "inside", "Sleeper", parallel_workers=0)
    server = serve(tmp_path)
    answers: dict[str, httpx.Response] = {}

    def ask(model: str) -> None:
        answers[model] = server.infer(model, body(1.0))

    threads = [threading.Thread(target=ask, args=(model,)) for model in ("worker", "inside")]
    for thread in threads:
        thread.start()
    in_flight(server, "worker", "inside")
    assert server.stop() == 0
    for thread in threads:
        thread.join()
    assert {model: answer.status_code for model, answer in answers.items()} == {"worker": 200, "inside": 200}


def test_what_takes_too_long_to_finish_is_cut_off(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    write_python_model(tmp_path, "slow", "Sleeper")
    server = serve(tmp_path, "--shutdown-timeout", "0.3")
    ask_and_forget(server, 30)
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < 10


def test_a_second_signal_exits_at_once(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    write_python_model(tmp_path, "slow", "Sleeper")
    server = serve(tmp_path)
    ask_and_forget(server, 20)
    server.process.send_signal(signal.SIGTERM)
    server.wait_for_output("SIGTERM")
    assert server.stop() == 128 + signal.SIGTERM
