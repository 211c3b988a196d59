"""Frames between server and worker: their kinds, their bytes, and finding them in a stream; knows no tensor.

A frame is a fixed header (length of what follows, kind, id), then the length of its metadata, the metadata as JSON, and
inline bytes. Nothing in it is ever executed or unpickled: a frame that makes no sense raises FrameError, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct
from typing import Any

import orjson

#: Raised with every change of the frames, so that a worker from another version of the package is told apart.
PROTOCOL = 3

_HEADER = Struct("<IIQ")  # bytes after this header, kind, id
_META = Struct("<I")
MAX_FRAME_BYTES = 64 << 20  # tensors travel in shared memory: only absurd metadata or a corrupt header comes near
_BUFFER_BYTES = 256 << 10


class Kind(IntEnum):
    """What a frame says. The id is the call's, or the model's where the frame is about a model."""

    # server to worker
    CONFIG = 1  # what the worker must know to start
    LOAD = 2  # settings of a model to load
    UNLOAD = 3
    INFER = 4
    STREAM = 5  # like INFER, answered in parts
    HANDLER = 6  # call of a custom handler
    CANCEL = 7  # nobody waits for this call any more
    CREDIT = 8  # so many more parts of this stream may be sent
    RELEASE = 9  # the shared memory of this call's answer is free again (worker to server: of its request)
    SHUTDOWN = 10
    INFER_ALL = 11  # like INFER, several requests for a model that takes them at once
    ANSWER = 12  # to a call that a model made, or a part of it; the id is the worker's from here on
    ANSWER_END = 13
    ANSWER_ERROR = 14
    # worker to server
    HELLO = 32
    LOADED = 33
    FAILED = 34  # a model could not be loaded
    UNLOADED = 35
    RESULT = 36
    PART = 37
    END = 38  # of a stream
    ERROR = 39
    LOG = 40
    METRIC = 41
    CALL = 42  # a model asks something of another one
    CALL_CANCEL = 43  # it does not want the answer any more
    CALL_CREDIT = 44  # so many more parts of the answer may be sent
    ANSWER_RELEASE = 45  # the shared memory of these answers is free again


class FrameError(Exception):
    """The other side sent something that is not a frame, or not one that may come now."""


def encode(kind: Kind, id_: int, meta: object = None, *inline: bytes | memoryview) -> bytes:
    """One frame as bytes. Raises TypeError where ``meta`` cannot be JSON, ValueError where the frame is too large."""
    text = orjson.dumps(meta)
    body = _META.size + len(text) + sum(map(len, inline))
    if body > MAX_FRAME_BYTES:
        raise ValueError(f"{body} bytes are more than fit a frame ({MAX_FRAME_BYTES})")
    return b"".join((_HEADER.pack(body, kind, id_), _META.pack(len(text)), text, *inline))


def split(body: memoryview) -> tuple[Any, memoryview]:
    """The metadata and the inline bytes of a frame's body. Raises FrameError."""
    try:
        (size,) = _META.unpack_from(body)
        start = _META.size + size
        if start > len(body):
            raise FrameError(f"metadata of {size} bytes in a frame of {len(body)}")
        return orjson.loads(body[_META.size : start]), body[start:]
    except FrameError:
        raise
    except Exception as error:
        raise FrameError(f"unreadable metadata: {type(error).__name__}") from None


class FrameReader:
    """Finds the frames in a stream of bytes: ``space`` is where to receive into, ``received`` yields what is complete.

    A yielded body is a view of the reader's buffer, valid until the next call of ``space``.
    """

    def __init__(self) -> None:
        self._buffer = bytearray(_BUFFER_BYTES)
        self._start = 0  # of the first unread byte
        self._end = 0
        self._needed = _HEADER.size  # bytes the next frame takes as far as known

    def space(self) -> memoryview:
        """Room for the next bytes; never empty."""
        held = self._end - self._start
        room = max(_BUFFER_BYTES, self._needed)
        if room > len(self._buffer) - self._start:
            self._move(held, room)
        return memoryview(self._buffer)[self._end :]

    def _move(self, held: int, room: int) -> None:
        """Bring what is unread to the start of a buffer of ``room`` bytes."""
        unread = bytes(self._buffer[self._start : self._end])
        if len(self._buffer) != room:
            self._buffer = bytearray(room)
        self._buffer[:held] = unread
        self._start, self._end = 0, held

    def received(self, count: int) -> Iterator[tuple[int, int, memoryview]]:
        """Kind, id and body of every frame complete after ``count`` more bytes. Raises FrameError."""
        self._end += count
        view = memoryview(self._buffer)
        while self._end - self._start >= _HEADER.size:
            size, kind, id_ = _HEADER.unpack_from(view, self._start)
            if not _META.size <= size <= MAX_FRAME_BYTES:
                raise FrameError(f"a frame of {size} bytes")
            self._needed = _HEADER.size + size
            if self._end - self._start < self._needed:
                return
            body = self._start + _HEADER.size
            self._start += self._needed
            self._needed = _HEADER.size
            yield kind, id_, view[body : self._start]
