"""Mode poll: models follow their files, nothing is lost on the way, a broken change leaves the old model serving."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tritonclient.utils import InferenceServerException

from tests.conformance.model_repository.clients import WIRES, Client, adder, replace, write_mlserver_model, write_model
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

POLL = ("--model-control-mode=poll", "--repository-poll-secs=0.2")


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def asking(server: ServerProcess, *models: str) -> Iterator[dict[tuple[str, str], list[float]]]:
    """Ask ``models`` over both wires without a pause; what they answered, in order. No request may fail."""
    answers: dict[tuple[str, str], list[float]] = {(wire, model): [] for wire in WIRES for model in models}
    errors: list[Exception] = []
    over = threading.Event()

    def ask(wire: str, model: str) -> None:
        client = Client(wire, server)
        while not over.is_set():
            try:
                answers[wire, model].append(client.added(model))
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=ask, args=key) for key in answers]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert errors == []


def test_models_follow_their_files_and_no_request_is_lost(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    write_model(tmp_path / "one", 1.0)
    write_mlserver_model(tmp_path / "two", 1.0)
    server = serve(tmp_path, *POLL)
    with asking(server, "one", "two") as answers:
        for number in (2.0, 3.0, 4.0):
            write_model(tmp_path / "one", number)
            write_mlserver_model(tmp_path / "two", number)
            eventually(lambda wanted=number: all(found and found[-1] == wanted for found in answers.values()))
    assert all(found == sorted(found) for found in answers.values())
    assert all(set(found) == {1.0, 2.0, 3.0, 4.0} for found in answers.values())


@pytest.mark.parametrize("wire", WIRES)
def test_folders_come_and_go(tmp_path: Path, serve: Callable[..., ServerProcess], wire: str) -> None:
    write_model(tmp_path / "stays", 1.0)
    server = serve(tmp_path, *POLL)
    client = Client(wire, server)
    write_model(tmp_path / "new", 2.0)
    eventually(lambda: client.client.is_model_ready("new"))
    assert client.added("new") == 2
    write_model(tmp_path / "new", 3.0, version="2")
    eventually(lambda: client.client.is_model_ready("new", "2"))
    assert client.added("new") == 3
    shutil.rmtree(tmp_path / "new")
    eventually(lambda: not client.client.is_model_ready("new"))
    eventually(lambda: client.rows("new") == [])
    assert client.client.is_server_ready()
    assert client.added("stays") == 1


def test_a_broken_change_leaves_the_old_model_and_says_why(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    write_model(tmp_path / "m", 1.0)
    write_mlserver_model(tmp_path / "s", 1.0)
    server = serve(tmp_path, *POLL)
    client = Client("http", server)

    def reason(name: str) -> str:
        (row,) = client.rows(name)
        assert row["state"] == "READY"
        return row.get("reason", "")

    replace(tmp_path / "m" / "1" / "model.onnx", b"no onnx")
    replace(tmp_path / "s" / "model-settings.json", b"{")
    eventually(lambda: "is not an ONNX model" in reason("m"))
    eventually(lambda: "model-settings.json" in reason("s"))
    assert (client.added("m"), client.added("s")) == (1, 1)
    assert client.client.is_server_ready()
    replace(tmp_path / "m" / "config.pbtxt", b"max_batch_size: many")
    eventually(lambda: "config.pbtxt" in reason("m"))
    assert client.added("m") == 1
    assert server.output.count("cannot read config.pbtxt") == 1
    write_model(tmp_path / "m", 2.0)
    write_mlserver_model(tmp_path / "s", 2.0)
    eventually(lambda: (client.added("m"), client.added("s")) == (2, 2))
    assert (reason("m"), reason("s")) == ("", "")


def test_clients_have_no_say(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    write_model(tmp_path / "m", 1.0)
    for mode in ("poll", "none"):
        server = serve(tmp_path, f"--model-control-mode={mode}")
        for client in (Client(wire, server) for wire in WIRES):
            for call in (client.client.load_model, client.client.unload_model):
                with pytest.raises(InferenceServerException) as caught:
                    call("m")
                assert "explicit model load / unload is not allowed if polling is enabled" in str(caught.value)
                assert caught.value.status() in ("503", "StatusCode.UNAVAILABLE")
            assert client.added("m") == 1


def test_mode_none_stays_as_it_was(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    write_model(tmp_path / "m", 1.0)
    server = serve(tmp_path, "--model-control-mode=none", "--repository-poll-secs=0.1")
    replace(tmp_path / "m" / "1" / "model.onnx", adder(2.0))
    write_model(tmp_path / "new", 1.0)
    time.sleep(0.5)
    client = Client("http", server)
    assert client.added("m") == 1
    assert client.rows("new") == [{"name": "new"}]
