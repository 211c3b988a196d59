"""The body of a load request with a model's files in it, made piece by piece; opens no connection."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import orjson

# Base64 turns three bytes into four characters: whole threes leave no padding in the middle.
_PIECE = 3 << 18

Source = Path | bytes


class UploadBody:
    """JSON with ``config`` and ``files`` in base64. ``size`` is its length in bytes; iterating gives it in pieces.

    ``sent`` is told how many bytes of files went with each piece. No more than a piece is in memory at a time.
    """

    def __init__(self, config: str | None, files: Mapping[str, Source], sent: Callable[[int], None]) -> None:
        self._files = [
            (orjson.dumps(f"file:{path}") + b':"', source, _length(source)) for path, source in files.items()
        ]
        self._sent = sent
        head = b'{"parameters":{' + (b'"config":' + orjson.dumps(config) if config is not None else b"")
        self._head = head + (b"," if config is not None and files else b"")
        quoted = sum(len(key) + (length + 2) // 3 * 4 + 1 for key, _, length in self._files)
        self.size = len(self._head) + quoted + max(0, len(files) - 1) + 2

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        for number, (key, source, length) in enumerate(self._files):
            yield (b"," if number else b"") + key
            for piece in _pieces(source, length):
                yield b64encode(piece)
                self._sent(len(piece))
            yield b'"'
        yield b"}}"


def content(source: Source) -> bytes:
    """All of a file."""
    return source if isinstance(source, bytes) else source.read_bytes()


def _length(source: Source) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def _pieces(source: Source, length: int) -> Iterator[bytes]:
    """``length`` bytes of ``source``, as many as were announced. Raises OSError where it has become shorter."""
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while length:
            piece = file.read(min(_PIECE, length))
            if not piece:
                raise OSError(f"{source} became shorter while it was sent")
            length -= len(piece)
            yield piece
