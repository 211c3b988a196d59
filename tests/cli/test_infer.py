"""``oipserver infer`` against real servers: what it writes, retries, takes up again and refuses."""

from __future__ import annotations

import asyncio
import http.server
import io
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from oipserver.app import Server, StartReport
from oipserver.cli import main
from oipserver.cli.batch import Job, Plan
from oipserver.cli.batch.progress import Progress
from oipserver.cli.batch.records import count_lines, grouped, read_items
from oipserver.errors import InvalidArgumentError, UnavailableError
from oipserver.model import MLModel
from oipserver.settings import Settings
from oipserver.tensor import Tensor

HERE = __name__


class Double(MLModel):
    """Doubles FP32 ``x``; counts its executions, refuses 13, is busy the first time it sees 99."""

    placement = "in-process"
    calls: ClassVar[list[int]] = []
    busy = threading.Event()

    def infer_tensors(self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Any) -> Sequence[Tensor]:
        array = inputs[0].array
        type(self).calls.append(len(array))
        if 13 in array:
            raise InvalidArgumentError("13 is not served")
        if 99 in array and not self.busy.is_set():
            self.busy.set()
            raise UnavailableError("busy", retry_after=0.01)
        words = np.array([b"a\xc3\xa9"] * len(array), object)
        return [Tensor.from_array("y", array * 2), Tensor.from_array("word", words)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartReport]:
    folder = tmp_path_factory.mktemp("models")
    for name, parameters in (("double", {}), ("versioned", {"version": "2"})):
        (folder / name).mkdir()
        text = json.dumps({"implementation": f"{HERE}.Double", "parameters": parameters})
        (folder / name / "model-settings.json").write_text(text)
    ports = {"http_port": 0, "grpc_port": 0, "metrics_port": 0}
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    run = lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(30)  # noqa: E731
    made = Server(Settings(host="127.0.0.1", parallel_workers=0, **ports), folder)
    yield run(made.start())
    run(made.stop())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def line(*values: float, **members: Any) -> str:
    shape = [len(values), 1]
    tensor = {"name": "x", "shape": shape, "datatype": "FP32", "data": list(values)}
    return json.dumps({"inputs": [tensor], **members})


class Batch:
    """Files of a batch, and the command on them."""

    def __init__(self, folder: Path, report: StartReport) -> None:
        self.input, self.output = folder / "in.jsonl", folder / "out.jsonl"
        self.report = report
        Double.calls.clear()

    def run(self, *words: str, transport: str = "rest", model: str = "double") -> int:
        port = self.report.http_port if transport == "rest" else self.report.grpc_port
        files = ("-i", str(self.input), "-o", str(self.output))
        return main(["infer", "-u", f"127.0.0.1:{port}", "-t", transport, "-m", model, *files, *words])

    @property
    def answers(self) -> dict[int, dict[str, Any]]:
        found = [json.loads(text) for text in self.output.read_text().splitlines()]
        made = {answer["parameters"]["batch_index"]: answer for answer in found}
        assert len(made) == len(found)
        return made


@pytest.fixture
def batch(tmp_path: Path, server: StartReport) -> Batch:
    return Batch(tmp_path, server)


WAYS = {"json": ("rest",), "binary": ("rest", "-b"), "grpc": ("grpc",)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", ["1", "4"])
def test_every_line_gets_its_answer(batch: Batch, way: str, size: str) -> None:
    transport, *words = WAYS[way]
    values = [[number, number + 0.5] if number % 3 else [number] for number in range(11)]
    batch.input.write_text("\n\n".join(line(*row, id=f"id-{index}") for index, row in enumerate(values)))
    assert batch.run("-s", size, "-w", "3", *words, transport=transport) == 0
    answers = batch.answers
    assert sorted(answers) == list(range(11))
    for index, row in enumerate(values):
        y, word = answers[index]["outputs"]
        assert y == {"name": "y", "datatype": "FP32", "shape": [len(row), 1], "data": [value * 2 for value in row]}
        assert word["data"] == ["aé"] * len(row)
        assert answers[index]["id"] == f"id-{index}"
        assert answers[index]["parameters"]["inference_id"].startswith("id-")
    assert sum(Double.calls) == sum(map(len, values))
    assert len(Double.calls) == (11 if size == "1" else 3)


def test_ids_are_made_and_versions_asked_for(batch: Batch) -> None:
    batch.input.write_text(line(1))
    assert batch.run("--model-version", "2", model="versioned") == 0
    assert batch.answers[0]["model_version"] == "2"
    assert len(batch.answers[0]["id"]) == 36
    batch.output.unlink()
    assert batch.run("--model-version", "3", model="versioned") == 1
    assert "version 3 is not found" in batch.answers[0]["error"]["msg"]


@pytest.mark.parametrize("transport", ["rest", "grpc"])
@pytest.mark.parametrize("size", ["1", "8"])
def test_what_fails_says_why_and_spoils_nothing(
    batch: Batch, transport: str, size: str, capsys: pytest.CaptureFixture[str]
) -> None:
    batch.input.write_text("\n".join([line(1), "{", line(2), line(13), line(4)]))
    assert batch.run("-s", size, transport=transport) == 1
    answers = batch.answers
    assert [answers[index]["outputs"][0]["data"] for index in (0, 2, 4)] == [[2.0], [4.0], [8.0]]
    assert answers[1]["error"]["status"] == "preprocessing error"
    assert answers[3]["error"]["status"] == "inference error"
    assert "13 is not served" in answers[3]["error"]["msg"]
    assert "3 answered, 2 failed" in capsys.readouterr().err


@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_a_busy_server_is_asked_again(batch: Batch, transport: str) -> None:
    batch.input.write_text(line(99))
    Double.busy.clear()
    assert batch.run(transport=transport) == 0
    assert Double.calls == [1, 1]
    Double.busy.clear()
    batch.output.unlink()
    assert batch.run("--retries", "0", transport=transport) == 1
    assert "busy" in batch.answers[0]["error"]["msg"]


def test_a_server_that_is_not_there(batch: Batch, capsys: pytest.CaptureFixture[str]) -> None:
    batch.input.write_text("\n".join([line(1), line(2)]))
    for transport in ("rest", "grpc"):
        words = ["-u", "127.0.0.1:1", "-t", transport, "--timeout", "5", "-r", "0"]
        files = ["-i", str(batch.input), "-o", str(batch.output)]
        assert main(["infer", *words, "-m", "double", *files]) == 1
        assert sorted(batch.answers) == [0, 1]
    assert "2 failed" in capsys.readouterr().err


def test_a_batch_is_taken_up_where_it_stopped(batch: Batch, capsys: pytest.CaptureFixture[str]) -> None:
    batch.input.write_text("\n".join(line(value) for value in (1, 2, 13, 4)))
    assert batch.run() == 1
    answered = [text for text in batch.output.read_text().splitlines() if '"error"' not in text]
    # the last line was cut off by whatever ended the first run
    batch.output.write_text("\n".join(answered[:-1]) + '\n{"parameters": {"batch_in')
    Double.calls.clear()
    batch.input.write_text("\n".join(line(value) for value in (1, 2, 3, 4)))
    assert batch.run() == 0
    assert len(Double.calls) == 2
    assert [batch.answers[index]["outputs"][0]["data"][0] / 2 for index in range(4)] == [1, 2, 3, 4]
    assert "2 answered, 2 were there already" in capsys.readouterr().err
    Double.calls.clear()
    assert batch.run() == 0
    assert Double.calls == []
    assert not list(batch.output.parent.glob(".*"))


def test_an_interruption_leaves_what_can_be_taken_up(batch: Batch) -> None:
    batch.input.write_text("\n".join(line(value) for value in range(100, 150)))
    stop = threading.Event()

    class Stops(Progress):
        def add(self, *, failed: bool) -> None:
            super().add(failed=failed)
            if self._done == 5:
                stop.set()

    plan = Plan(batch.input, batch.output, "double", workers=1)
    summary = Job(plan, client_of(batch.report), lambda done: Stops(io.StringIO(), 50, done), stop=stop).run()
    assert summary.answered == 5
    assert batch.run() == 0
    assert sorted(batch.answers) == list(range(50))


def client_of(report: StartReport) -> Callable[[], Any]:
    from oipserver.cli.batch.call import Target
    from oipserver.cli.batch.rest import RestClient

    return lambda: RestClient(Target("127.0.0.1", report.http_port))


def test_a_full_disk_is_one_line(batch: Batch, capsys: pytest.CaptureFixture[str]) -> None:
    batch.input.write_text(line(1))
    batch.output.symlink_to("/dev/full")
    plan = Plan(batch.input, batch.output, "double", workers=2)
    with pytest.raises(InvalidArgumentError, match=r"cannot write .*: No space left on device"):
        Job(plan, client_of(batch.report), lambda done: Progress(io.StringIO(), 1, done)).run()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-w", "0"], "--workers must be 1 or more, not 0"),
        (["--batch-interval", "nan"], "--batch-interval must be 0 or more, not nan"),
        (["--timeout", "inf"], "--timeout must be above 0, not inf"),
        (["-u", "http://[bad:8080"], "--url must be HOST:PORT, not 'http://[bad:8080'"),
        (["-s", "x"], "argument -s/--batch-size: invalid int value: 'x'"),
        (["-u", "localhost"], "--url must be HOST:PORT, not 'localhost'"),
        (["-H", "nonsense"], "a header must be 'NAME: VALUE', not 'nonsense'"),
        (["--timeout", "0"], "--timeout must be above 0"),
        (["-t", "grpc", "--insecure"], "--insecure is for REST"),
        (["--workerz", "1"], "unknown option '--workerz'"),
    ],
)
def test_mistakes_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    files = ["-i", str(tmp_path / "in"), "-o", str(tmp_path / "out")]
    (tmp_path / "in").write_text("")
    assert main(["infer", "-m", "m", *files, *words]) == 2
    assert complaint in capsys.readouterr().err


def test_files_that_cannot_be_used(batch: Batch, capsys: pytest.CaptureFixture[str]) -> None:
    assert batch.run() == 1
    assert "cannot read" in capsys.readouterr().err
    batch.input.write_text(line(1))
    batch.output.write_text("my thesis\n")
    assert batch.run() == 1
    assert "is no answer of 'oipserver infer'" in capsys.readouterr().err
    assert batch.output.read_text() == "my thesis\n"
    assert main(["infer", "-m", "m", "-i", str(batch.input), "-o", str(batch.input)]) == 1
    assert "the same file" in capsys.readouterr().err
    assert main(["infer", "-m", "m", "-i", str(batch.input), "-o", str(batch.input / "x" / "y")]) == 1
    assert "its folder does not exist" in capsys.readouterr().err


def test_variables_stand_for_options(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    batch.input.write_text(line(1))
    for name, value in {
        "MLSERVER_INFER_URL": f"127.0.0.1:{batch.report.http_port}",
        "MLSERVER_INFER_MODEL_NAME": "nope",
        "OIPSERVER_INFER_MODEL_NAME": "double",
        "MLSERVER_INFER_INPUT_DATA_PATH": str(batch.input),
        "MLSERVER_INFER_OUTPUT_DATA_PATH": str(batch.output),
        "MLSERVER_INFER_BINARY_DATA": "true",
        "MLSERVER_INFER_WORKERS": "2",
    }.items():
        monkeypatch.setenv(name, value)
    assert main(["infer"]) == 0
    assert batch.answers[0]["model_name"] == "double"


class Other(http.server.BaseHTTPRequestHandler):
    """A server that is not ours: 500 in plain text, then an answer that is none."""

    answers: ClassVar[list[tuple[int, bytes]]] = []
    seen: ClassVar[list[dict[str, str]]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        type(self).seen.append(dict(self.headers))
        status, body = type(self).answers.pop(0)
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""


def test_answers_of_other_servers(batch: Batch) -> None:
    Other.answers = [(500, b"Internal Server Error"), (200, b'{"model_name": "m"}'), (200, b"<html>")]
    batch.input.write_text("\n".join(line(value) for value in range(3)))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        thread = threading.Thread(target=other.serve_forever, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{other.server_port}"
        files = ["-i", str(batch.input), "-o", str(batch.output)]
        headers = ["-H", "X-Mine: yes", "-H", "authorization: a:b"]
        assert main(["infer", "-u", address, "-m", "m", "-w", "1", *files, *headers]) == 1
        other.shutdown()
        thread.join()
    messages = [batch.answers[index]["error"]["msg"] for index in range(3)]
    assert messages[0] == "HTTP 500: Internal Server Error"
    assert all("the answer cannot be read" in message for message in messages[1:])
    assert (Other.seen[0]["X-Mine"], Other.seen[0]["authorization"]) == ("yes", "a:b")


def test_only_what_fits_together_is_sent_together(tmp_path: Path) -> None:
    file = tmp_path / "in"
    lines = [line(1), line(2), line(3, parameters={"a": 1}), line(4), "{}", line(5), line(6), line(7)]
    file.write_text("\n".join(lines) + "\n\n")
    groups = [[item.index for item in group] for group in grouped(read_items(file, "m", "", {1}), 2)]
    assert groups == [[0], [2], [3], [4], [5, 6], [7]]
    assert count_lines(file) == 8


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_on_a_terminal() -> None:
    now = [0.0]
    screen = Terminal()
    progress = Progress(screen, 4, 1, clock=lambda: now[0])
    for _ in range(3):
        now[0] += 0.5
        progress.add(failed=now[0] == 1.0)
    progress.close()
    shown = screen.getvalue().split("\r")
    assert shown[1].startswith(" 25% [#######                     ] 1/4")
    assert "2/4, 2.0/s, 1 s left" in shown[2]
    assert "1 failed" in shown[3]
    assert shown[-1].startswith("100% [" + "#" * 28 + "] 4/4")
    assert shown[-1].endswith("\n")
    quiet = io.StringIO()
    Progress(quiet, 4).close()
    assert quiet.getvalue() == ""


class Stuck(http.server.BaseHTTPRequestHandler):
    """Answers the first request; the others wait for the end."""

    waiting = threading.Event()
    end = threading.Event()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if body["inputs"][0]["data"] != [0.0]:
            self.waiting.set()
            self.end.wait(20)
        text = json.dumps({"model_name": "m", "outputs": body["inputs"]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.mark.process
def test_control_c_ends_it_at_once(tmp_path: Path) -> None:
    file, output = tmp_path / "in", tmp_path / "out"
    file.write_text("\n".join(line(value) for value in range(100)))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stuck) as other:
        thread = threading.Thread(target=other.serve_forever, daemon=True)
        thread.start()
        words = [
            "infer",
            "-u",
            f"127.0.0.1:{other.server_port}",
            "-m",
            "m",
            "-w",
            "1",
            "-i",
            str(file),
            "-o",
            str(output),
        ]
        with subprocess.Popen(
            [sys.executable, "-m", "oipserver", *words],
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # who runs in the background ignores it
        ) as process:
            assert Stuck.waiting.wait(30)
            process.send_signal(signal.SIGINT)
            Stuck.end.set()
            assert process.wait(30) == 130
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()
        other.shutdown()
        thread.join()
    kept = [json.loads(text)["parameters"]["batch_index"] for text in output.read_text().splitlines()]
    assert kept[0] == 0
    assert len(kept) < 100
