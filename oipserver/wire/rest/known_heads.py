"""Heads of requests that came before on the same connection, which need no parsing again; knows no model and no socket.

A client's requests to one model differ in their bodies and in the length of these, seldom in anything else. What the
parser made of a head holds for every later one of the same bytes, its digits of Content-Length set aside.
"""

from __future__ import annotations

import re
from dataclasses import replace

from .head import Head
from .headers import HeaderView

_LONGEST = 2048  # bytes of a head that is remembered
_MOST = 4  # heads of one connection
_PATIENCE = 32  # heads of one connection that may be new without one of them coming again
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: (\d{1,9})\r\n", re.IGNORECASE)
_CONTENT_LENGTH = b"content-length"


class _Known:
    """A head, in two parts: all before the digits of its Content-Length, and all behind them."""

    __slots__ = ("before", "behind", "head", "length", "place", "size")

    def __init__(self, before: bytes, behind: bytes, head: Head, length: bytes, place: int) -> None:
        self.before = before
        self.behind = behind
        self.size = len(before)
        self.head = head
        self.length = length
        self.place = place  # of the Content-Length among the headers

    def with_length(self, length: bytes) -> Head:
        if length != self.length:
            headers = [*self.head.headers.raw]
            headers[self.place] = (_CONTENT_LENGTH, length)
            self.head, self.length = replace(self.head, headers=HeaderView(headers)), length
        return self.head


class KnownHeads:
    """The latest few heads of one connection."""

    __slots__ = ("_known", "_limit", "_patience")

    def __init__(self, limit: int) -> None:
        """``limit``: bytes of the largest body to look for."""
        self._limit = limit
        self._known: list[_Known] = []
        self._patience = _PATIENCE

    def match(self, data: bytes) -> tuple[Head, bytes] | None:
        """Head and body of the one whole request that ``data`` is, where its head is known."""
        for known in self._known:
            if data.startswith(known.before):
                end = data.find(b"\r", known.size, known.size + 10)
                length = data[known.size : end]
                if end > 0 and length.isdigit() and data.startswith(known.behind, end):
                    start, count = end + len(known.behind), int(length)
                    if len(data) - start != count or count > self._limit:
                        return None
                    self._patience = _PATIENCE
                    return known.with_length(length), data[start:]
        return None

    def learn(self, data: bytes, head: Head) -> None:
        """Remember that a parser made ``head``, with nothing to be said on how its body is sent or how its connection
        goes on but a Content-Length, of ``data``: one whole request and nothing else."""
        if self._patience <= 0:
            return
        self._patience -= 1
        end = data.find(_END, 0, _LONGEST)
        found = _LENGTH.search(data, 0, end + 2) if end > 0 else None
        # Bytes that the parser takes for the end of a head, and others, would show in a body of another length.
        if found is None or int(found[1]) != len(data) - end - len(_END):
            return
        places = [place for place, (name, _) in enumerate(head.headers.raw) if name == _CONTENT_LENGTH]
        if len(places) == 1 and head.headers.raw[places[0]][1] == found[1]:
            start, behind = found.span(1)
            known = _Known(data[:start], data[behind : end + len(_END)], head, found[1], places[0])
            self._known = [known, *self._known[: _MOST - 1]]
