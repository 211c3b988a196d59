"""Whatever somebody calls a model, a version or a file, it stays where it belongs."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oipserver.errors import InvalidArgumentError, OIPError
from oipserver.store import Tag
from oipserver.store.record import parse_record, stays_inside
from oipserver.store.tags import next_version, version_at

NASTY = st.text(st.sampled_from("ab1./\\:@-_~ \0\n..é"), max_size=12)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))


@given(st.one_of(NASTY, st.text(max_size=30)))
def test_a_tag_names_folders_and_nothing_else(text: str) -> None:
    try:
        tag = Tag.parse(text)
    except InvalidArgumentError:
        return
    assert Tag.parse(str(tag)) == tag
    for word in filter(None, (tag.name, tag.version)):
        assert os.path.basename(os.path.normpath(word)) == word
        assert not word.startswith(".")


@pytest.mark.parametrize(("name", "version"), [("..", ""), ("a/b", "1"), ("a", "../1"), ("", "1"), (".aliases", "1")])
def test_a_tag_made_by_hand_is_checked_too(name: str, version: str) -> None:
    with pytest.raises(InvalidArgumentError):
        Tag(name, version)


@given(st.one_of(NASTY, st.text(max_size=30)))
def test_a_path_that_stays_inside_does(path: str) -> None:
    if stays_inside(path):
        assert os.path.normpath(f"/root/model/{path}") == f"/root/model/{path}"
        assert path not in ("", ".")


@given(MOMENTS, st.timedeltas(timedelta(milliseconds=1), timedelta(days=400)))
def test_versions_sort_by_time(moment: datetime, later: timedelta) -> None:
    first, second = version_at(moment), version_at(moment + later)
    assert first < second
    assert int(first) < int(second) < 1 << 63
    assert first < next_version(first) <= second
    assert len(next_version(first)) == len(first) == 17


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_what_is_no_record_is_told(content: bytes) -> None:
    with pytest.raises(OIPError, match="it came from here is no record of a stored model"):
        parse_record(content, "it came from here")
