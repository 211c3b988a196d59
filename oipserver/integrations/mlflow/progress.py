"""How far a transfer is, as a bar on a terminal; knows no file."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import TextIO

_EVERY = 0.1  # seconds
_BAR = 28
_MEGABYTE = 1e6


class Progress:
    """A bar of ``total`` bytes on ``stream`` where that is a terminal, nothing elsewhere. Used by one thread."""

    def __init__(self, stream: TextIO | None, label: str, total: int, clock: Callable[[], float] = monotonic) -> None:
        self._stream = stream if stream is not None and stream.isatty() else None
        self._label = label
        self._total = total
        self._done = 0
        self._clock = clock
        self._start = clock()
        self._shown = float("-inf")

    def __enter__(self) -> Progress:
        self._show()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._show()
            self._stream.write("\n")
            self._stream.flush()

    def add(self, size: int) -> None:
        """So many bytes more are there."""
        self._done += size
        if self._stream is not None and self._clock() - self._shown >= _EVERY:
            self._show()

    def _show(self) -> None:
        if self._stream is None:
            return
        self._shown = self._clock()
        share = self._done / self._total if self._total else 1.0
        taken = self._shown - self._start
        rate = f", {self._done / _MEGABYTE / taken:.0f} MB/s" if taken > 0 else ""
        bar = "#" * int(share * _BAR)
        size = f"{self._done / _MEGABYTE:.1f}/{self._total / _MEGABYTE:.1f} MB"
        self._stream.write(f"\r{self._label} {share:4.0%} [{bar:{_BAR}}] {size}{rate}\x1b[K")
        self._stream.flush()
