"""Log lines: valid JSON whatever they say, the model's name on them, levels as set, configurations on top."""

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oipserver.errors import InvalidArgumentError
from oipserver.settings import Settings
from oipserver.telemetry.context import model_context
from oipserver.telemetry.logs import JsonFormatter, configure_logging

NAMES = ("", "oipserver", "mlserver", "uvicorn", "uvicorn.error", "uvicorn.access", "grpc", "oipserver.quiet")


@pytest.fixture(autouse=True)
def _restore_loggers() -> Iterator[None]:
    before = {name: (vars(logging.getLogger(name)).copy(), logging.getLogger(name).level) for name in NAMES}
    yield
    for name, (state, level) in before.items():
        logger = logging.getLogger(name)
        vars(logger).update(state)
        logger.setLevel(level)
    logging.captureWarnings(False)


def configure(**settings: object) -> None:
    configure_logging(Settings.model_validate(settings))


def test_lines_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    log = logging.getLogger("oipserver.registry")
    log.info("loaded in %.1f s", 1.5)
    with model_context("digits", "2"):
        log.warning("slow")
    with model_context("plain", ""):
        log.debug("not shown")
        log.error("broken")
    first, second, third = capsys.readouterr().err.splitlines()
    assert first.endswith(" INFO oipserver.registry: loaded in 1.5 s")
    assert second.endswith(" WARNING oipserver.registry [digits:2]: slow")
    assert third.endswith(" ERROR oipserver.registry [plain]: broken")


def test_configuring_twice_logs_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    configure()
    logging.getLogger("oipserver").info("hello")
    assert capsys.readouterr().err.count("hello") == 1


def test_structured_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure(use_structured_logging=True)
    log = logging.getLogger("oipserver.test")
    try:
        raise ValueError('with "quotes"\nand lines')
    except ValueError:
        with model_context("digits", "2"):
            log.exception('he said "hi"\n%s', "\\", extra={"request": object, "count": 3})
    (line,) = capsys.readouterr().err.splitlines()
    record = json.loads(line)
    assert record["message"] == 'he said "hi"\n\\'
    assert (record["level"], record["logger"], record["model"], record["model_version"]) == (
        "error",
        "oipserver.test",
        "digits",
        "2",
    )
    assert record["exception"].endswith('ValueError: with "quotes"\nand lines')
    assert (record["request"], record["count"]) == ("<class 'object'>", 3)
    assert record["time"].endswith("+00:00")


@given(st.text(st.characters()) | st.just("\ud800"))
def test_any_message_is_one_line_of_json(message: str) -> None:
    record = logging.LogRecord("oipserver", logging.INFO, __file__, 1, message, None, None)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == message
    line.encode()


def test_a_record_from_a_worker_keeps_its_model(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    record = logging.makeLogRecord({"msg": "there", "levelname": "INFO", "levelno": 20, "name": "oipserver.worker"})
    record.model, record.model_version = "digits", "1"
    record.exc_text = "Traceback: of the worker"
    logging.getLogger("oipserver").handle(record)
    assert capsys.readouterr().err.endswith("[digits:1]: there\nTraceback: of the worker\n")
    assert json.loads(JsonFormatter().format(record))["exception"] == "Traceback: of the worker"


def test_what_others_log_and_warn_of_looks_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    configure(use_structured_logging=True)
    with model_context("digits", "1"):
        logging.getLogger("my_model").warning("careful")
        logging.getLogger("my_model").info("not shown")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["logger"], first["message"], first["model"]) == ("my_model", "careful", "digits")
    assert (second["logger"], second["level"]) == ("py.warnings", "warning")
    assert "DeprecationWarning: old" in second["message"]


@pytest.mark.parametrize(
    ("settings", "ours", "library"),
    [
        ({}, logging.INFO, logging.WARNING),
        ({"log_level": "error"}, logging.ERROR, logging.ERROR),
        ({"log_level": "debug"}, logging.DEBUG, logging.WARNING),
        ({"debug": True, "log_level": "error"}, logging.DEBUG, logging.DEBUG),
    ],
)
def test_levels(settings: dict[str, object], ours: int, library: int) -> None:
    configure(**settings)
    assert logging.getLogger("oipserver.anything").getEffectiveLevel() == ours
    assert logging.getLogger("uvicorn.access").getEffectiveLevel() == library


def test_libraries_follow(capsys: pytest.CaptureFixture[str]) -> None:
    configure(use_structured_logging=True)
    logging.getLogger("uvicorn.error").warning("from uvicorn")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "from uvicorn"


def test_a_configuration_on_top(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = {"loggers": {"oipserver.quiet": {"level": "ERROR"}}}
    file = tmp_path / "logging.json"
    file.write_text(json.dumps(quiet))
    old_style = tmp_path / "logging.ini"
    old_style.write_text(
        "[loggers]\nkeys=root,quiet\n[handlers]\nkeys=\n[formatters]\nkeys=\n[logger_root]\nhandlers=\n"
        "[logger_quiet]\nqualname=oipserver.quiet\nlevel=ERROR\nhandlers=\n"
    )
    for configuration in (quiet, str(file), str(old_style)):
        logging.getLogger("oipserver.quiet").setLevel(logging.NOTSET)
        configure(logging_settings=configuration)
        logging.getLogger("oipserver.quiet").warning("not shown")
        logging.getLogger("oipserver.loud").warning("shown")
        assert [line.endswith(" shown") for line in capsys.readouterr().err.splitlines()] == [True]


@pytest.mark.parametrize(
    "configuration",
    ["/nowhere/logging.json", "/nowhere/logging.ini", {"handlers": {"file": {"class": "no.such.Handler"}}}],
)
def test_a_broken_configuration_is_one_line(configuration: object) -> None:
    with pytest.raises(InvalidArgumentError, match="logging_settings cannot be used: ") as caught:
        configure(logging_settings=configuration)
    assert "\n" not in caught.value.message


def test_logs_leave_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    logging.getLogger("oipserver").info("hello")
    assert capsys.readouterr().out == ""
    assert sys.stdout is not sys.stderr
