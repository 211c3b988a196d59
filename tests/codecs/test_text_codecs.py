"""The str, base64 and datetime codecs, and JSON with bytes and arrays in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oipserver.codecs import Base64Codec, CodecError, DatetimeCodec, StringCodec, StringRequestCodec
from oipserver.codecs.json import (
    JSONEncoderWithArray,
    decode_from_bytelike_json_to_dict,
    decode_json_input_or_output,
    encode_to_json,
    encode_to_json_bytes,
)
from oipserver.codecs.lists import as_list, is_list_of
from oipserver.codecs.string import decode_str, encode_str
from oipserver.types import RequestInput
from tests.codecs.rest_json import rest_output, rest_request

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
NOON = datetime(2022, 1, 11, 11)


def bytes_input(data: Any) -> RequestInput:
    return RequestInput(name="x", datatype="BYTES", shape=[1], data=data)


def test_text_as_rest_sends_it() -> None:
    tensor = {"shape": [2, 1], "datatype": "BYTES", "parameters": {"content_type": "str"}, "data": ["hey", "é"]}
    assert rest_output(StringCodec.encode_output("o", ["hey", "é"])) == {"name": "o", **tensor}
    request = StringRequestCodec.encode_request(["hey", "é"], use_bytes=False)
    assert rest_request(request) == {"parameters": {"content_type": "str"}, "inputs": [{"name": "input-1", **tensor}]}
    assert request.inputs[0].data.root == ["hey", "é"]
    assert StringRequestCodec.decode_request(request) == ["hey", "é"]


def test_text_is_bytes_unless_told_otherwise() -> None:
    assert StringCodec.encode_input("x", ["é"]).data.root == ["é".encode()]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("hello world", ["hello world"]),
        (["a", None], ["a", None]),
        ([1, "b"], ["", "b"]),
        ([["a"], [b"b"]], ["a", "b"]),
    ],
)
def test_decoding_text(data: Any, expected: list[Any]) -> None:
    assert StringCodec.decode_input(bytes_input(data)) == expected


def test_bytes_that_are_no_text_are_the_callers_mistake() -> None:
    with pytest.raises(CodecError, match="'x' holds bytes that are not UTF-8 text"):
        StringCodec.decode_input(bytes_input([b"\xff"]))


@given(st.lists(TEXT), st.booleans())
def test_text_there_and_back(texts: list[str], use_bytes: bool) -> None:
    assert StringCodec.decode_output(StringCodec.encode_output("o", texts, use_bytes=use_bytes)) == texts


def test_base64_as_rest_sends_it() -> None:
    assert rest_output(Base64Codec.encode_output("o", [b"Python is fun"])) == {
        "name": "o",
        "shape": [1, 1],
        "datatype": "BYTES",
        "parameters": {"content_type": "base64"},
        "data": ["UHl0aG9uIGlzIGZ1bg=="],
    }


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (["UHl0aG9uIGlzIGZ1bg=="], [b"Python is fun"]),
        ([b"Python is fun"], [b"Python is fun"]),
        (["é!"], ["é!".encode()]),
        ("abcd", [b"i\xb7\x1d"]),
    ],
)
def test_decoding_base64(data: Any, expected: list[bytes]) -> None:
    assert Base64Codec.decode_input(bytes_input(data)) == expected


@given(st.lists(st.binary()), st.booleans())
def test_bytes_there_and_back(elements: list[bytes], use_bytes: bool) -> None:
    assert Base64Codec.decode_output(Base64Codec.encode_output("o", elements, use_bytes=use_bytes)) == elements
    assert Base64Codec.decode_input(Base64Codec.encode_input("x", elements, use_bytes=use_bytes)) == elements


def test_instants_as_rest_sends_them() -> None:
    assert rest_output(DatetimeCodec.encode_output("o", [NOON])) == {
        "name": "o",
        "shape": [1, 1],
        "datatype": "BYTES",
        "parameters": {"content_type": "datetime"},
        "data": ["2022-01-11T11:00:00"],
    }


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (["2022-01-11T11:00:00", b"2022-01-11T11:00:00+00:00"], [NOON, NOON.replace(tzinfo=UTC)]),
        ("2022-01-11T11:00:00", [NOON]),
        (["NaT", None], [None, None]),
    ],
)
def test_decoding_instants(data: Any, expected: list[Any]) -> None:
    assert DatetimeCodec.decode_input(bytes_input(data)) == expected


@pytest.mark.parametrize("data", [["tomorrow"], [b"\xff"], [1]])
def test_what_is_no_instant_is_the_callers_mistake(data: Any) -> None:
    with pytest.raises(CodecError, match="'x' holds an element that is no ISO 8601 date and time"):
        DatetimeCodec.decode_input(bytes_input(data))


@given(st.lists(st.datetimes(timezones=st.none() | st.timezones())), st.booleans())
def test_instants_there_and_back(instants: list[datetime], use_bytes: bool) -> None:
    decoded = DatetimeCodec.decode_output(DatetimeCodec.encode_output("o", instants, use_bytes=use_bytes))
    assert [instant.isoformat() for instant in decoded] == [instant.isoformat() for instant in instants]


@pytest.mark.parametrize(
    ("codec", "payload", "expected"),
    [
        (StringCodec, ["a"], True),
        (StringCodec, [], True),
        (StringCodec, "a", False),
        (StringCodec, [b"a"], False),
        (Base64Codec, [b"a"], True),
        (Base64Codec, ["a"], False),
        (DatetimeCodec, [NOON], True),
        (DatetimeCodec, ["2022-01-11"], False),
    ],
)
def test_what_each_can_encode(codec: Any, payload: Any, expected: bool) -> None:
    assert codec.can_encode(payload) is expected


def test_lists_of_text() -> None:
    assert list(as_list("a")) == ["a"]
    assert list(as_list(["a", ["b", ["c"]]])) == ["a", "b", "c"]
    assert is_list_of(["a", b"b"], (str, bytes))
    assert not is_list_of("ab", str)


def test_single_strings() -> None:
    assert encode_str("é") == "é".encode()
    assert decode_str("é".encode("latin-1"), "latin-1") == "é"
    assert decode_str(None) is None


def test_json_with_arrays_and_bytes() -> None:
    value = {"a": np.array([1, 2]), "b": np.float32(1.5), "c": np.int8(1), "d": np.bool_(True)}
    plain = {"a": [1, 2], "b": 1.5, "c": 1, "d": True}
    assert json.loads(json.dumps(value, cls=JSONEncoderWithArray)) == plain
    assert json.loads(encode_to_json(value)) == plain
    assert encode_to_json("é", use_bytes=False) == '"é"'
    assert encode_to_json_bytes({"a": b"x", "b": np.arange(4)[::2]}) == b'{"a":"x","b":[0,2]}'
    assert decode_from_bytelike_json_to_dict(b'{"a":1}') == {"a": 1}
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_to_json(float("nan"))
    with pytest.raises(TypeError):
        encode_to_json_bytes({"a": object()})


def test_json_in_each_element() -> None:
    assert decode_json_input_or_output(bytes_input(['{"a":1}', b"[1]"])) == [{"a": 1}, [1]]
    for text in ("{", "[" * 100_000):
        with pytest.raises(CodecError, match="'x' holds an element that is no JSON"):
            decode_json_input_or_output(bytes_input([text]))
