"""What may name a model: a part of every URL and of every path."""

import unicodedata
from pathlib import PurePosixPath
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oipserver.errors import InvalidArgumentError, NotFoundError
from oipserver.protocol.names import EXPECTED_NAME, is_name, wrong_name
from oipserver.store.tags import check_name
from oipserver.wire.names import check_controlled_name, check_model_name

ANY_WORD = st.text(st.characters(codec=None), max_size=12) | st.text("./\\ \0\n-_ab\u2028\ud800", max_size=6)


NAMES = ["a", "ResNet-50", "v1.5", "two words", ".hidden", "...", "größe", "模型", "a b\u200d"]
PATHS = ["", " ", "\xa0", ".", "..", "/", "a/b", "a\\b", "../a", ".oipserver", ".oipserver-x"]
UNREADABLE = ["a\0", "a\n", "\ta", "a\x7f", "a\x85", "a\u2028b", "\udc80"]


@pytest.mark.parametrize("word", NAMES)
def test_names(word):
    assert is_name(word)
    assert wrong_name(word) == ""
    assert check_model_name(word) == check_controlled_name(word) == word


@pytest.mark.parametrize("word", [*PATHS, *UNREADABLE])
def test_words_that_name_nothing(word):
    assert not is_name(word)
    assert wrong_name(word, "version") == f"{word!r} cannot be the version of a model: {EXPECTED_NAME}"
    with pytest.raises(NotFoundError, match="Request for unknown model: "):
        check_model_name(word)
    with pytest.raises(InvalidArgumentError, match=r"invalid model name|Model name cannot be empty"):
        check_controlled_name(word)


@given(ANY_WORD)
@example("a\n")
@example("-")
def test_every_place_can_hold_a_name(word):
    if not is_name(word):
        with pytest.raises(NotFoundError):
            check_model_name(word)
        return
    assert check_model_name(word) == word
    assert unquote(quote(word, safe="")) == word
    assert PurePosixPath("root", word).parent == PurePosixPath("root")
    assert PurePosixPath("root", word).name == word
    assert len(word.splitlines()) == 1
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in word)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True))
def test_what_the_store_keeps_can_be_served(word):
    check_name(word)
    assert is_name(word)
