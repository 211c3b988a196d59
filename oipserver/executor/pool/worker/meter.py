"""Tells how long a coroutine held its thread and how long it waited; knows nothing of what it computes."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from time import monotonic_ns
from types import coroutine
from typing import Any, TypeVar

from ..messages import Cost

T = TypeVar("T")


@coroutine
def metered(work: Coroutine[Any, Any, T], cost: Cost) -> Generator[Any, Any, T]:
    """Await ``work``, adding to ``cost`` while it goes on."""
    value: Any = None
    awaited: Any = None
    error: BaseException | None = None
    started = monotonic_ns()
    try:
        while True:
            try:
                awaited = work.send(value) if error is None else work.throw(error)
            except StopIteration as stop:
                result: T = stop.value
                return result
            value = error = None
            paused = monotonic_ns()
            cost.busy += paused - started
            try:
                value = yield awaited
            except BaseException as thrown:
                error = thrown
            started = monotonic_ns()
            cost.waiting += started - paused
    finally:
        cost.busy += monotonic_ns() - started
        # The traceback of an error, which the last future may hold too, refers to this frame: a cycle would keep the
        # request's memory in use.
        awaited = error = None
        work.close()
