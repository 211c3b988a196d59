"""The command line as its user meets it: one clear line and the right exit code for every mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oipserver import __version__
from oipserver.cli import main
from oipserver.settings import Settings


def run(*words: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "oipserver", *words],
        env={**os.environ, **variables},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )


def complaint(capsys: pytest.CaptureFixture[str], *words: str, code: int) -> str:
    assert main(words) == code
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert captured.out == ""
    assert line.startswith("oipserver: error: ")
    return line.removeprefix("oipserver: error: ")


@pytest.mark.parametrize("words", [("--version",), ("version",)])
def test_version(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out == f"oipserver {__version__}\n"


def test_the_first_help_loads_next_to_nothing() -> None:
    program = (
        "import sys; from oipserver.cli import main; code = main(['--help']);"
        "heavy = {'pydantic', 'numpy', 'uvicorn', 'grpc', 'asyncio'} & set(sys.modules);"
        "assert not heavy, heavy; sys.exit(code)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    assert "start " in result.stdout


def test_help_of_start_names_every_setting() -> None:
    result = run("start", "--help")
    assert result.returncode == 0
    for name in set(Settings.model_fields) - {"model_repository_root"}:
        assert f"--{name.replace('_', '-')}" in result.stdout
    assert "REST port; 0 picks a free one. [8080]" in " ".join(result.stdout.split())


def test_no_command_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: oipserver COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("strat", "."), "unknown command 'strat'; did you mean 'start'? See oipserver --help"),
        (("--versoin",), "unknown option '--versoin'; did you mean '--version'? See oipserver --help"),
        (("xyzzy",), "unknown command 'xyzzy'; see oipserver --help"),
        (
            ("start", ".", "--http-prt=9000"),
            "unknown option '--http-prt'; did you mean '--http-port'? See oipserver start --help",
        ),
        (
            ("start", "--http-prt", "9000"),
            "unknown option '--http-prt'; did you mean '--http-port'? See oipserver start --help",
        ),
        (("start", "--http", "9000"), "unknown option '--http'"),
        (("start", "a", "b"), "unexpected argument 'b'; see oipserver start --help"),
        (("start", ".", "--http-port"), "argument --http-port: expected one argument; see oipserver start --help"),
        (("config", "shw"), "unknown command 'config shw'; did you mean 'config show'?"),
    ],
)
def test_usage(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    assert complaint(capsys, *words, code=2).startswith(message)


def test_wrong_settings(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    expected = "http_port: expected an integer, got 'x' (from --http-port)"
    assert complaint(capsys, "start", str(tmp_path), "--http-port", "x", code=1) == expected
    (tmp_path / "settings.json").write_text('{\n "http_port": 1,\n}')
    assert complaint(capsys, "start", str(tmp_path), code=1).endswith(
        "settings.json, line 2, column 16: trailing comma: remove it, JSON allows no comma after the last element"
    )


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["start", str(tmp_path), "--http-port", "x", "--debug"]) == 1
    error = capsys.readouterr().err
    assert "Traceback (most recent call last)" in error
    assert error.splitlines()[-1].startswith("oipserver: error: http_port: expected an integer")


def test_an_unexpected_failure_is_one_line_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("oipserver.cli.start.resolve", fail)
    assert complaint(capsys, "start", str(tmp_path), code=1) == (
        "RuntimeError: two lines (this is a bug, --debug shows where)"
    )


def test_interruption_is_quiet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("oipserver.cli.start.resolve", interrupt)
    assert main(["start"]) == 130
    assert capsys.readouterr().err == ""


def test_config_show(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"debug": "true", "http_prt": 1, "parallel_workers": 2}')
    words = ("config", "show", ".", "--http-port", "9000", "--no-gzip-enabled")
    variables = {"OIPSERVER_PARALLEL_WORKERS": "0", "MLSERVER_GRPC_PORT": "9001"}
    result = run(*words, "-o", "json", cwd=tmp_path, **variables)
    assert result.returncode == 0
    shown = json.loads(result.stdout)
    assert shown["http_port"] == {"value": 9000, "source": "--http-port"}
    assert shown["gzip_enabled"] == {"value": False, "source": "--no-gzip-enabled"}
    assert shown["parallel_workers"] == {"value": 0, "source": "OIPSERVER_PARALLEL_WORKERS"}
    assert shown["grpc_port"] == {"value": 9001, "source": "MLSERVER_GRPC_PORT"}
    assert shown["debug"] == {"value": True, "source": "settings.json"}
    assert shown["host"] == {"value": "0.0.0.0", "source": "default"}
    assert result.stderr == ("oipserver: warning: settings.json: unknown key 'http_prt'; did you mean 'http_port'?\n")
    table = run(*words, cwd=tmp_path, **variables).stdout.splitlines()
    assert table[0].split() == ["SETTING", "VALUE", "SOURCE"]
    assert ["http_port", "9000", "--http-port"] in [line.split() for line in table]
    assert len(table) == len(Settings.model_fields) + 1


def test_models(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["models", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"no models in {tmp_path}\n"
    (tmp_path / "digits.onnx").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model-settings.json").write_text("{")
    assert main(["models", str(tmp_path), "-o", "json"]) == 1
    captured = capsys.readouterr()
    uri = str(tmp_path / "digits.onnx")
    assert json.loads(captured.out) == [{"name": "digits", "version": "", "implementation": "onnx", "uri": uri}]
    assert captured.err.startswith(f"oipserver: error: {tmp_path / 'broken' / 'model-settings.json'}, line 1")
    assert main(["models", str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines()[0].split() == ["MODEL", "VERSION", "IMPLEMENTATION", "URI"]


def test_a_missing_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert complaint(capsys, "models", str(missing), code=1) == f"model repository {missing} does not exist"


def test_a_reader_that_left_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        words = [sys.executable, "-m", "oipserver", "config", "show"]
        result = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    finally:
        os.close(writer)
    assert (result.returncode, result.stderr) == (1, "")
