"""Broken JSON is reported with its place and its cure."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oipserver.errors import InvalidArgumentError
from oipserver.settings.json_file import read_json_object


def complaint(tmp_path: Path, content: str | bytes) -> str:
    file = tmp_path / "settings.json"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InvalidArgumentError) as caught:
        read_json_object(file)
    message = caught.value.message
    assert message.startswith(str(file))
    assert "\n" not in message
    return message.removeprefix(str(file))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            '{\n    "name": "tinyvit",\n    "implementation": "serve-model.TinyViTModel",\n}\n',
            ", line 3, column 49: trailing comma: remove it, JSON allows no comma after the last element",
        ),
        ('{"a": [1, 2,\n ]}', ", line 1, column 12: trailing comma: remove it, JSON allows no comma after the last"),
        ('{"a": 1 "b": 2}', ", line 1, column 9: expected a comma or a closing bracket, got '\"b\":'"),
        ("{'a': 1}", ", line 1, column 2: strings need double quotes in JSON"),
        ('{"a": True}', ", line 1, column 7: expected a JSON value, got True: write true"),
        ('{"a": None}', ", line 1, column 7: expected a JSON value, got None: write null"),
        ('{"a": 1,\n // port\n "b": 2}', ", line 2, column 2: JSON allows no comments: remove it"),
        ('{"a": 1', ", line 1, column 8: the file ends too early"),
        ("", ", line 1, column 1: the file is empty"),
        ('{"a" 1}', ", line 1, column 6: expected a colon after the key, got '1}'"),
        ('{"a": 1} more', ", line 1, column 10: expected nothing after the closing bracket, got 'more'"),
        ("[1]", ": expected a JSON object {...}, got a list"),
        ("true", ": expected a JSON object {...}, got a boolean"),
        (b'{"a": "\xff"}', " is not UTF-8 text: byte 7 is 0xff"),
        ("[" * 100_000, ": nested too deeply to be settings"),
    ],
)
def test_what_is_wrong_and_where(tmp_path: Path, content: str | bytes, expected: str) -> None:
    assert complaint(tmp_path, content).startswith(expected)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_bytes(b'\xef\xbb\xbf{"debug": true}')
    assert read_json_object(file) == {"debug": True}


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"cannot read .*none\.json: No such file"):
        read_json_object(tmp_path / "none.json")


VALID = json.dumps({"name": "m", "inputs": [{"shape": [-1, 2]}, {}], "parameters": {"extra": {"x": 1.5}, "n": None}})


@given(st.integers(0, len(VALID) - 1), st.sampled_from(["", ",", "}", "]", "'", '"', "{", "\n", "#", "True"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_slip_of_the_finger_is_one_line(tmp_path: Path, place: int, slip: str) -> None:
    text = VALID[:place] + slip + VALID[place + 1 :]
    file = tmp_path / "settings.json"
    file.write_text(text)
    try:
        expected = json.loads(text)
    except json.JSONDecodeError:
        with pytest.raises(InvalidArgumentError) as caught:
            read_json_object(file)
        assert caught.value.message.startswith(f"{file}, line ")
        assert "\n" not in caught.value.message
    else:
        assert read_json_object(file) == expected
