"""Raw tensor data in serialized messages, cut out and put in by hand; knows which field is raw and nothing else.

protobuf copies a bytes field twice on its way in and twice on its way out. Large tensors are the bulk of a message and
lie at its end: here they stay where they are, and only the rest of the message is parsed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from google.protobuf.message import DecodeError

from ...tensor.tensor import Buffer

_LENGTH_DELIMITED = 2
#: Data are cut so that elements lie at multiples of this many bytes, as compiled code may expect.
_ALIGNMENT = 8


def encode_varint(value: int) -> bytes:
    """A non-negative integer as a base-128 varint."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    """The varint at ``offset``, and the offset behind it. Raises DecodeError where there is none."""
    value = shift = 0
    for position in range(offset, min(offset + 10, len(data))):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + 1
        shift += 7
    raise DecodeError("truncated or overlong varint")


def split_field(data: bytes, number: int) -> tuple[bytes, list[Buffer]]:
    """Cut a repeated bytes field out of a serialized message whose top-level fields are all length-delimited.

    Returns the message without that field, and the field's entries in order: views of ``data`` where the elements are
    aligned in memory, copies where they are not. Raises DecodeError where ``data`` is no such message.
    """
    wanted = number << 3 | _LENGTH_DELIMITED
    view = memoryview(data)
    kept: list[memoryview] = []
    entries: list[Buffer] = []
    offset, start, end = 0, 0, len(data)
    while offset < end:
        key, body = _varint(data, offset)
        if key & 7 != _LENGTH_DELIMITED:
            raise DecodeError("a field that is not length-delimited")
        size, body = _varint(data, body)
        if size > end - body:
            raise DecodeError("a field that ends behind the message")
        if key == wanted:
            kept.append(view[start:offset])
            start = body + size
            # The payload of a bytes object is aligned itself, so the offset alone tells.
            entries.append(view[body:start] if body % _ALIGNMENT == 0 else bytes(view[body:start]))
        offset = body + size
    kept.append(view[start:end])
    return b"".join(kept), entries


def join_field(head: bytes, number: int, entries: Iterable[bytes | memoryview]) -> Sequence[bytes | memoryview]:
    """The pieces of a serialized message: ``head`` and behind it the entries of a repeated bytes field."""
    key = encode_varint(number << 3 | _LENGTH_DELIMITED)
    pieces: list[bytes | memoryview] = [head]
    for entry in entries:
        size = entry.nbytes if isinstance(entry, memoryview) else len(entry)
        pieces.append(key + encode_varint(size))
        pieces.append(entry)
    return pieces
