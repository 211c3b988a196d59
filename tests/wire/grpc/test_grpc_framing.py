"""Cutting raw contents out of messages by hand gives what protobuf gives."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from oipserver.pb.inference_pb2 import ModelInferRequest, ModelInferResponse
from oipserver.wire.grpc.framing import encode_varint, join_field, split_field

RAW = 7

messages = st.builds(
    ModelInferRequest,
    model_name=st.text(max_size=300),
    id=st.text(max_size=5),
    inputs=st.lists(
        st.builds(
            ModelInferRequest.InferInputTensor,
            name=st.text(max_size=5),
            shape=st.lists(st.integers(0, 2**62), max_size=3),
        ),
        max_size=3,
    ),
    raw_input_contents=st.lists(st.binary(max_size=300), max_size=4),
)


@given(messages)
def test_split_finds_every_entry_and_leaves_the_rest(message: ModelInferRequest) -> None:
    head, entries = split_field(message.SerializeToString(), RAW)
    assert [bytes(entry) for entry in entries] == list(message.raw_input_contents)
    message.ClearField("raw_input_contents")
    assert ModelInferRequest.FromString(head) == message


@given(messages, messages)
def test_split_takes_fields_in_any_order(first: ModelInferRequest, second: ModelInferRequest) -> None:
    both = first.SerializeToString() + second.SerializeToString()
    expected = ModelInferRequest.FromString(both)
    head, entries = split_field(both, RAW)
    assert [bytes(entry) for entry in entries] == list(expected.raw_input_contents)
    expected.ClearField("raw_input_contents")
    assert ModelInferRequest.FromString(head) == expected


def test_entries_are_views_where_aligned_and_copies_elsewhere() -> None:
    kinds = set()
    for length in range(8):
        data = ModelInferRequest(model_name="m" * length, raw_input_contents=[b"x" * 64]).SerializeToString()
        _, [entry] = split_field(data, RAW)
        aligned = data.index(b"x" * 64) % 8 == 0
        assert isinstance(entry, memoryview) == aligned
        kinds.add(aligned)
    assert kinds == {True, False}


@given(st.binary(max_size=40))
def test_garbage_is_refused_or_understood_as_protobuf_does(data: bytes) -> None:
    try:
        head, entries = split_field(data, RAW)
        message = ModelInferRequest.FromString(head)
    except DecodeError:
        return
    # Whatever is taken here protobuf takes, too, and reads the same in it.
    whole = ModelInferRequest.FromString(data)
    assert [bytes(entry) for entry in entries] == list(whole.raw_input_contents)
    assert message.id == whole.id


@pytest.mark.parametrize("data", [b"\x3a", b"\x3a\x05abc", b"\x3a" + b"\xff" * 10 + b"\x01", b"\x08\x01", b"\x3a\x80"])
def test_truncated_and_foreign_fields_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        split_field(data, RAW)


@given(st.text(max_size=10), st.lists(st.binary(max_size=300), max_size=4))
def test_join_writes_what_protobuf_reads(name: str, entries: list[bytes]) -> None:
    head = ModelInferResponse(model_name=name).SerializeToString()
    views = [memoryview(entry) for entry in entries]
    whole = ModelInferResponse.FromString(b"".join(join_field(head, 6, views)))
    assert whole == ModelInferResponse(model_name=name, raw_output_contents=entries)


@pytest.mark.parametrize(("value", "encoded"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_varints(value: int, encoded: bytes) -> None:
    assert encode_varint(value) == encoded
