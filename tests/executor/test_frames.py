"""Frames: whatever is sent is found again, however the stream is cut; nonsense raises FrameError and nothing else."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oipserver.executor.pool.frames import MAX_FRAME_BYTES, FrameError, FrameReader, Kind, encode, split

META = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FRAMES = st.lists(
    st.tuples(st.sampled_from(Kind), st.integers(0, 2**64 - 1), META, st.binary(max_size=300)), max_size=6
)


def read(stream: bytes, cuts: list[int]) -> list[tuple[int, int, object, bytes]]:
    reader, found, position = FrameReader(), [], 0
    while position < len(stream):
        space = reader.space()
        size = min(len(space), len(stream) - position, cuts.pop() if cuts else len(stream))
        space[:size] = stream[position : position + size]
        position += size
        for kind, id_, body in reader.received(size):
            meta, inline = split(body)
            found.append((kind, id_, meta, bytes(inline)))
    return found


@given(FRAMES, st.lists(st.integers(1, 40), max_size=60))
def test_what_is_sent_is_read(frames: list[tuple[Kind, int, object, bytes]], cuts: list[int]) -> None:
    stream = b"".join(encode(kind, id_, meta, inline) for kind, id_, meta, inline in frames)
    assert read(stream, cuts) == frames


def test_frames_larger_than_the_buffer() -> None:
    large = bytes(range(256)) * 4096
    stream = encode(Kind.LOG, 1, "a") + encode(Kind.RESULT, 2, ["b"], large) + encode(Kind.LOG, 3, "c")
    assert (
        read(stream * 3, []) == [(Kind.LOG, 1, "a", b""), (Kind.RESULT, 2, ["b"], large), (Kind.LOG, 3, "c", b"")] * 3
    )


@given(st.binary(min_size=1, max_size=200))
def test_nonsense_is_waited_for_or_refused(stream: bytes) -> None:
    with contextlib.suppress(FrameError):
        read(stream, [])


def test_a_frame_beyond_the_bound_is_not_sent() -> None:
    with pytest.raises(ValueError, match="more than fit a frame"):
        encode(Kind.LOG, 0, None, bytes(MAX_FRAME_BYTES))


def test_a_length_beyond_the_bound_is_refused_before_anything_is_allocated() -> None:
    with pytest.raises(FrameError, match="a frame of"):
        read((MAX_FRAME_BYTES + 1).to_bytes(4, "little") + bytes(12), [])
