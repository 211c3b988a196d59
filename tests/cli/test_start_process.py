"""``oipserver start`` as a process: it announces itself, ends when told to, says in one line why it cannot start."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

FREE_PORTS = ("--host", "127.0.0.1", "--http-port", "0", "--grpc-port", "0", "--metrics-port", "0")
MODEL = """
from oipserver import MLModel

class Model(MLModel):
    async def load(self):
        return True
"""


@contextmanager
def started(*words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "oipserver", "start", *words],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.close()


def announcement(process: subprocess.Popen[str]) -> str:
    """What the process prints, up to the last address."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Docs"):
            break
    return "".join(lines)


def failure(*words: str) -> str:
    with started(*words) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out == ""
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("oipserver: error: ")
    return last.removeprefix("oipserver: error: ")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "mine.py").write_text(MODEL)
    (folder / "model-settings.json").write_text('{"implementation": "mine.Model", "max_batch_siz": 3}')
    return tmp_path


def test_it_announces_itself_and_ends_when_told(models: Path) -> None:
    with started(str(models), *FREE_PORTS, OIPSERVER_PARALLEL_WORKERS="0", OIPSERVER_DEBG="1") as process:
        text = announcement(process)
        assert re.search(r"^own +- +READY ", text, re.MULTILINE)
        assert re.search(r"^gRPC +127\.0\.0\.1:\d+$", text, re.MULTILINE)
        address = re.search(r"^Metrics +(http://\S+)$", text, re.MULTILINE)
        assert address is not None
        with urllib.request.urlopen(address[1], timeout=10) as answer:
            assert 'oipserver_model_ready{model="own",version="None"} 1.0' in answer.read().decode()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "sets nothing; did you mean 'OIPSERVER_DEBUG'?" in err
    assert "unknown key 'max_batch_siz'; did you mean 'max_batch_size'?" in err


def test_a_missing_folder(tmp_path: Path) -> None:
    assert failure(str(tmp_path / "missing"), *FREE_PORTS) == f"model repository {tmp_path / 'missing'} does not exist"


@pytest.mark.parametrize("setting", ["http-port", "grpc-port", "metrics-port"])
def test_a_port_in_use(tmp_path: Path, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = failure(str(tmp_path), *FREE_PORTS, f"--{setting}", str(port))
    assert message.startswith(f"cannot listen on 127.0.0.1:{port}")
    assert f"--{setting}" in message


def test_nothing_could_be_loaded(models: Path) -> None:
    (models / "own" / "mine.py").write_text("import nowhere_to_be_found")
    message = failure(str(models), *FREE_PORTS, "--parallel-workers", "0")
    assert "own" in message
    assert "nowhere_to_be_found" in message
