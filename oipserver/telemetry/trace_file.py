"""Files of traces, written by a thread of their own; knows no request and no setting."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Lock, Thread
from typing import Any, Protocol

from ..errors import InvalidArgumentError

_log = logging.getLogger(__name__)

_MOST_WAITING = 4096  # traces; more than the disk can take are left out, and no request waits for it
_MOST_BYTES = 256 << 20  # of tensors in traces that wait
_CLOSE_SECONDS = 5.0


class Trace(Protocol):
    """What can be written."""

    @property
    def nbytes(self) -> int:
        """Roughly what it holds in memory."""
        ...

    def events(self) -> Iterable[dict[str, Any]]:
        """What is to be written of it."""
        ...


class TraceFile:
    """The file at ``path``, and numbered ones beside it. Each is one JSON array whenever nobody is writing to it.

    Raises InvalidArgumentError where there is no folder to write to.
    """

    def __init__(self, path: str) -> None:
        folder = Path(path).absolute().parent
        if not folder.is_dir():
            raise InvalidArgumentError(f"trace_file {path}: there is no folder {folder}")
        self.path = path
        self._waiting: Queue[tuple[str, bool, Trace] | None] = Queue(_MOST_WAITING)
        self._bytes = 0
        self._left_out = 0
        self._numbers = count()
        self._ids = count(1)
        self._begun = False
        self._thread: Thread | None = None
        self._lock = Lock()

    def numbered(self) -> str:
        """The place of the next numbered file."""
        return f"{self.path}.{next(self._numbers)}"

    def next_id(self) -> int:
        """A number that no other trace in these files has."""
        return next(self._ids)

    def put(self, trace: Trace, place: str = "", *, fresh: bool = False) -> None:
        """Have ``trace`` written to ``place``, emptied before where ``fresh``; by default to the one file."""
        with self._lock:
            if not place:
                place, fresh, self._begun = self.path, not self._begun, True
            if self._thread is None:
                self._thread = Thread(target=self._write_all, name="trace-file", daemon=True)
                self._thread.start()
            if self._bytes + trace.nbytes <= _MOST_BYTES:
                self._bytes += trace.nbytes
                try:
                    self._waiting.put_nowait((place, fresh, trace))
                    return
                except Full:
                    self._bytes -= trace.nbytes
            self._left_out += 1
            if self._left_out == 1:
                _log.warning("traces come faster than they are written to %s: some are left out", self.path)

    def close(self) -> None:
        """Write what is left, for a few seconds at most. Blocks."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(_CLOSE_SECONDS)
        if self._left_out:
            _log.warning("%d traces are missing in %s", self._left_out, self.path)

    def _write_all(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            ended = False
            while not ended:
                try:
                    more = self._waiting.get_nowait()
                except Empty:
                    break
                ended = more is None
                if more is not None:
                    batch.append(more)
            self._write(batch)
            if ended:
                return

    def _write(self, batch: list[tuple[str, bool, Trace]]) -> None:
        texts: dict[str, list[bytes]] = {}
        emptied = {place for place, fresh, _ in batch if fresh}
        for place, _, trace in batch:
            texts.setdefault(place, []).extend(json.dumps(event).encode() for event in trace.events())
        with self._lock:
            self._bytes -= sum(trace.nbytes for _, _, trace in batch)
        for place, objects in texts.items():
            try:
                _append(place, b",\n".join(objects), fresh=place in emptied)
            except OSError as error:
                _log.error("traces cannot be written to %s: %s", place, error.strerror or error)


def _append(place: str, objects: bytes, *, fresh: bool) -> None:
    """Add ``objects`` to the array in the file; one that was moved away meanwhile begins anew."""
    if fresh or not os.path.exists(place):
        with open(place, "wb") as file:
            file.write(b"[" + objects + b"]")
    else:
        with open(place, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b",\n" + objects + b"]")
