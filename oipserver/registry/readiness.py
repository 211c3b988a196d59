"""Tells whoever listens that the server may have become ready, or no longer be; knows neither whether nor why."""

from __future__ import annotations

from collections.abc import Callable


class Readiness:
    """Where everything that the server's readiness depends on says so when it changes. On the event loop."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """Have ``listener`` called after every change; it must be quick and not raise."""
        self._listeners.append(listener)

    def changed(self) -> None:
        """Something that readiness depends on is another than before."""
        for listener in self._listeners:
            listener()
