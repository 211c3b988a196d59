"""What all connections of one REST server share: the handler, limits, headers every answer gets, and the observer."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from email.utils import formatdate

from .cors import CrossOrigin
from .handler import InferHandler
from .observer import RequestObserver
from .outbox import Outbox
from .scoring import Scoring


@dataclass(slots=True)
class InferDoor:
    """Shared by every connection.

    ``idle_timeout`` is how many seconds a connection may say nothing while it is the client's turn, ``linger`` how many
    are granted to a client to read why its body is refused before it is cut off. ``scoring`` answers requests in other
    forms than V2's, where the server takes any.
    """

    handler: InferHandler
    max_body: int
    max_chunks: int
    root_path: bytes = b""
    cors: CrossOrigin | None = None
    observer: RequestObserver | None = None
    idle_timeout: float = 75.0
    linger: float = 2.0
    scoring: Scoring | None = None
    outbox: Outbox = field(default_factory=Outbox, init=False)
    _second: int = field(default=0, init=False)
    _date: bytes = field(default=b"", init=False)
    _date_line: bytes = field(default=b"", init=False)

    def date(self) -> bytes:
        """The value of the Date header, made once a second."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._date = formatdate(second, usegmt=True).encode()
            self._date_line = b"date: %b\r\n" % self._date
        return self._date

    def date_line(self) -> bytes:
        """The whole line of the Date header."""
        if int(time.time()) != self._second:
            self.date()
        return self._date_line
