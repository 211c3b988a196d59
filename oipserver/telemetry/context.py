"""Which model's code is running: what custom metrics and log lines are labelled with."""

from __future__ import annotations

from contextvars import ContextVar, Token

_current: ContextVar[tuple[str, str]] = ContextVar("oipserver_model", default=("", ""))


class ModelContext:
    """While it is open, this thread or task runs code of the model ``name``, ``version`` ("" for none).

    Opened once. A class and no generator, so that it costs less than half a microsecond on the path of requests.
    """

    __slots__ = ("_model", "_token")

    def __init__(self, name: str, version: str) -> None:
        self._model = (name, version)
        self._token: Token[tuple[str, str]] | None = None

    def __enter__(self) -> None:
        self._token = _current.set(self._model)

    def __exit__(self, *_: object) -> None:
        assert self._token is not None, "entered first"
        _current.reset(self._token)


model_context = ModelContext


def enter_model(name: str, version: str) -> None:
    """Say that the rest of this context runs code of the model: for contexts that end with it."""
    _current.set((name, version))


def current_model() -> tuple[str, str]:
    """Name and version of the model whose code is running; both "" outside of any."""
    return _current.get()
