"""Files of traces are whole arrays, lose what they cannot hold rather than hold a request up, and say so."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oipserver.errors import InvalidArgumentError
from oipserver.telemetry.request_trace import BACKEND_OUTPUT, RequestTrace
from oipserver.telemetry.trace_file import TraceFile
from oipserver.tensor import Tensor


class Note:
    """A trace of one event."""

    def __init__(self, number: int, nbytes: int = 0) -> None:
        self.number = number
        self.nbytes = nbytes

    def events(self) -> Iterator[dict[str, Any]]:
        yield {"id": self.number}


def numbers(path: Path) -> list[int]:
    return [event["id"] for event in json.loads(path.read_text())]


def test_a_file_of_another_run_is_emptied_and_then_grows(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text("[old]")
    for expected in ([1, 2], [3]):  # two runs
        file = TraceFile(str(path))
        for number in expected:
            file.put(Note(number))
        file.close()
        assert numbers(path) == expected


def test_a_file_that_was_moved_away_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    file = TraceFile(str(path))
    file.put(Note(1))
    while not path.exists() or not path.read_text().endswith("]"):
        pass
    path.rename(tmp_path / "moved.json")
    file.put(Note(2))
    file.close()
    assert (numbers(tmp_path / "moved.json"), numbers(path)) == ([1], [2])


def test_what_is_too_much_is_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "t.json"
    file = TraceFile(str(path))
    with caplog.at_level(logging.WARNING):
        for number, nbytes in ((1, 10), (2, 1 << 40), (3, 10)):
            file.put(Note(number, nbytes))
        file.close()
    assert numbers(path) == [1, 3]
    assert "1 traces are missing" in caplog.text


def test_a_disk_that_refuses_is_told_and_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "t.json.0").mkdir()
    file = TraceFile(str(tmp_path / "t.json"))
    with caplog.at_level(logging.ERROR):
        file.put(Note(1), file.numbered(), fresh=True)
        file.put(Note(2))
        file.close()
    assert "traces cannot be written to" in caplog.text
    assert numbers(tmp_path / "t.json") == [2]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="there is no folder"):
        TraceFile(str(tmp_path / "no" / "t.json"))


# The last one is a digit, but no number.
@pytest.mark.parametrize(("version", "told"), [("", -1), ("3", 3), ("v1.0", "v1.0"), ("²", "²")])
def test_versions_and_texts(version: str, told: object) -> None:
    trace = RequestTrace("m", version, "", None, [])
    trace.saw(BACKEND_OUTPUT, [Tensor.from_array("y", np.array([[b"a", b"\xff"]], dtype=object))])
    first, second = trace.events()
    assert first["model_version"] == told
    assert second["tensor"] == {"name": "y", "data": "a,\\xff", "shape": "1,2", "dtype": "BYTES"}
