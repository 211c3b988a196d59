"""Files of environment variables: what their text sets."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oipserver.settings.dotenv import parse_dotenv


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=1", "1"),
        ("A=", ""),
        ("  export A = some words  ", "some words"),
        ("A=1 # said why", "1"),
        ("A=one#two", "one#two"),
        ("A=# nothing", ""),
        ("A='one # two' # three", "one # two"),
        ('A="a \\"quoted\\" text\\n"', 'a "quoted" text\n'),
        ("A='not\\n escaped'", "not\\n escaped"),
        ('A="two\nlines"', "two\nlines"),
        ("A=1\r\nB=2\r\n", "1"),
        ("A=1\nA=2", "2"),
        ("# A=2\nA=1", "1"),
        ("nonsense\nA=1\n=2", "1"),
    ],
)
def test_a_variable(text: str, value: str) -> None:
    assert parse_dotenv(text)["A"] == value


def test_what_sets_nothing() -> None:
    assert parse_dotenv("# A=1\n\nB\n1C=2\n") == {}


@given(
    st.recursive(
        st.integers() | st.text("ab {}\n\u00e9"), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_in_single_quotes_comes_through(value: object) -> None:
    text = json.dumps(value).replace("'", "")
    assert parse_dotenv(f"A='{text}'\nB=1\n") == {"A": text, "B": "1"}


@given(st.text("ab='\"#\\\\ \n\r"))
def test_any_text_is_read(text: str) -> None:
    assert all(name.isidentifier() for name in parse_dotenv(text))
