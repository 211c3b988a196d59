"""Which model's code is running: what custom metrics and log lines are labelled with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[tuple[str, str]] = ContextVar("oipserver_model", default=("", ""))


@contextmanager
def model_context(name: str, version: str) -> Iterator[None]:
    """While it is open, this thread or task runs code of the model ``name``, ``version`` ("" for none)."""
    token = _current.set((name, version))
    try:
        yield
    finally:
        _current.reset(token)


def current_model() -> tuple[str, str]:
    """Name and version of the model whose code is running; both "" outside of any."""
    return _current.get()
