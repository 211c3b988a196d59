"""Running a coroutine at once, and as a task only from the moment it has to wait; knows nothing of HTTP.

Most inference requests finish without ever waiting: a task that the event loop runs in its next turn would cost them
more than their own work.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

if sys.version_info >= (3, 12):

    def run_eagerly(coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> asyncio.Future[T]:
        """A task of ``coroutine`` that has run as far as it could without waiting: often it is done already.

        Must be called on ``loop``'s thread while it runs.
        """
        return asyncio.Task(coroutine, loop=loop, eager_start=True)

else:
    import contextvars
    from asyncio.tasks import _PyTask, _register_task  # type: ignore[attr-defined]  # absent from the type stubs

    class _EagerTask(_PyTask):  # type: ignore[misc]
        """A task whose first step runs in its constructor.

        Python 3.12 has this built in. The names it needs of asyncio's own task are private, but Python 3.11 no longer
        changes. It is a whole task rather than a stepped coroutine because what runs inside may ask for the current
        task: ``asyncio.timeout`` does, and so do HTTP clients in models' code.
        """

        def __init__(self, coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> None:
            self._loop = loop
            self._callbacks: list[Any] = []
            self._coro = coroutine
            self._context = contextvars.copy_context()
            self._num_cancels_requested = 0
            self._must_cancel = False
            self._fut_waiter = None
            self._name = "infer"
            self._context.run(self._Task__step)
            if not self.done():
                _register_task(self)

    def run_eagerly(coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> asyncio.Future[T]:
        """A task of ``coroutine`` that has run as far as it could without waiting: often it is done already.

        Must be called on ``loop``'s thread while it runs. Called from within another task, it starts an ordinary one:
        only one task can be the current one.
        """
        if asyncio.current_task(loop) is not None:
            return loop.create_task(coroutine)
        task: asyncio.Future[T] = _EagerTask(coroutine, loop)
        return task
