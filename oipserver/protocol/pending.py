"""A result that is told when it is there, to a callback or to a coroutine that awaits it; knows nothing of what it is.

A coroutine that waits costs a task, a future and two turns of the event loop; a callback costs a call.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Pending(ABC, Generic[T_co]):
    """A result to come, or an exception. On the event loop; to be used once, by ``then`` or by ``await``."""

    __slots__ = ()

    @abstractmethod
    def then(self, tell: Callable[[Any], None]) -> None:
        """Have ``tell`` called, later on, with the result or the exception, which it must not raise."""

    @abstractmethod
    def cancel(self) -> None:
        """Nobody waits any more: nothing is told. Does nothing where the result was told already."""

    def __await__(self) -> Generator[Any, None, T_co]:
        future: asyncio.Future[T_co] = asyncio.get_running_loop().create_future()
        self.then(partial(_settle, future))
        try:
            return (yield from future)
        except asyncio.CancelledError:
            self.cancel()
            raise
        finally:
            del future, self  # an error knows this frame by its traceback, and these the error: cycles


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():  # whoever waited was cancelled
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
