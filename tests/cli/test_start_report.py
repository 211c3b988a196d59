"""What a started server prints fits its terminal and leaves nothing out."""

import io

import pytest

from oipserver.cli.report import start_report, terminal_width, wants_colour
from oipserver.cli.table import table
from oipserver.protocol import ModelState

app = pytest.importorskip("oipserver.app")


def report(**changes: object) -> "app.StartReport":
    values = {
        "host": "0.0.0.0",
        "http_port": 8080,
        "grpc_port": 8081,
        "metrics_port": 8082,
        "models": [
            app.ModelRow(
                "digits", "1", ModelState.READY, "onnxruntime_onnx", "CUDAExecutionProvider", "in-process", 0.1234
            ),
            app.ModelRow("broken", "", ModelState.UNAVAILABLE, reason="cannot import 'nowhere': " + "why " * 40),
        ],
        "problems": ["model 'broken': cannot import 'nowhere': " + "why " * 40, "/m/model-settings.json is empty"],
    }
    return app.StartReport(**{**values, **changes})


@pytest.mark.parametrize("width", [80, 100, 120])
def test_everything_is_there_and_fits(width: int) -> None:
    text = start_report(report(), "/metrics", width, colour=False)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    (digits,) = [line for line in lines if line.startswith("digits")]
    assert digits.split() == ["digits", "1", "READY", "onnxruntime_onnx", "CUDA", "in-process", "0.12", "s"]
    assert text.count("cannot import") == 1
    assert "/m/model-settings.json is empty" in text
    for address in (
        "REST     http://localhost:8080",
        "gRPC     localhost:8081",
        "Metrics  http://localhost:8082/metrics",
        "Docs     http://localhost:8080/v2/docs",
    ):
        assert address in lines
    assert "\x1b" not in text


def test_colour_paints_and_changes_no_letter() -> None:
    plain = start_report(report(), "/metrics", 100, colour=False)
    painted = start_report(report(), "/metrics", 100, colour=True)
    assert painted != plain
    for code in ("1", "2", "31", "32", "0"):
        painted = painted.replace(f"\x1b[{code}m", "")
    assert painted == plain


def test_nothing_loaded_and_no_metrics() -> None:
    text = start_report(report(models=[], problems=[], metrics_port=None, host="::1"), "", 80, colour=False)
    assert "no models loaded" in text
    assert "Metrics" not in text
    assert "http://[::1]:8080" in text


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert wants_colour(Terminal())
    assert not wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())


@pytest.mark.parametrize(("columns", "width"), [("40", 80), ("100", 100), ("400", 120)])
def test_widths(monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert terminal_width() == width


def test_tables_cut_their_widest_column() -> None:
    assert table(("A", "B"), [("x" * 30, "y" * 10)], 30) == [
        "A" + " " * 19 + "B",
        "x" * 15 + "...  " + "y" * 10,
    ]
