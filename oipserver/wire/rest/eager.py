"""Running a coroutine at once, and as a task only from the moment it has to wait; knows nothing of HTTP.

Most inference requests finish without ever waiting: a task that the event loop runs in its next turn would cost them
more than their own work.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
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
    from asyncio.tasks import _enter_task, _leave_task
    from collections.abc import Generator
    from types import coroutine as generator_coroutine

    class _FirstStep:
        """The current task while a coroutine takes its first step, and after that a name for the task it became.

        What runs inside may ask for the current task in order to cancel it later: ``asyncio.timeout`` does, and so do
        HTTP clients in models' code.
        """

        __slots__ = ("_cancels", "task")

        def __init__(self) -> None:
            self.task: asyncio.Task[Any] | None = None
            self._cancels = 0

        def cancel(self, msg: object = None) -> bool:
            """Cancel the task, or what is going to be it."""
            if self.task is not None:
                return self.task.cancel(msg)
            self._cancels += 1
            return True

        def cancelling(self) -> int:
            """How many cancellations are pending."""
            return self._cancels if self.task is None else self.task.cancelling()

        def uncancel(self) -> int:
            """Take one cancellation back."""
            if self.task is not None:
                return self.task.uncancel()
            self._cancels = max(0, self._cancels - 1)
            return self._cancels

        def became(self, task: asyncio.Task[Any]) -> None:
            """The rest runs as ``task``."""
            self.task = task
            for _ in range(self._cancels):
                task.cancel()

        def get_name(self) -> str:
            """For logs."""
            return "infer"

        def done(self) -> bool:
            """Whether the task has ended."""
            return self.task is not None and self.task.done()

    @generator_coroutine
    def _rest(coroutine: Coroutine[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
        """What follows the first step, which ended with waiting for ``waits_for``."""
        step: Callable[[Any], Any]
        while True:
            try:
                sent = yield waits_for
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:
                step, value = coroutine.throw, error
            else:
                step, value = coroutine.send, sent
            try:
                waits_for = step(value)
            except StopIteration as stop:
                result: T = stop.value
                return result

    def run_eagerly(coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> asyncio.Future[T]:
        """A future of ``coroutine`` that has run as far as it could without waiting: often it is done already.

        Must be called on ``loop``'s thread while it runs. Called from within another task, it starts an ordinary one:
        only one task can be the current one. Python 3.12 has this built in; the two private names it needs here,
        Python 3.11 no longer changes.
        """
        if asyncio.current_task(loop) is not None:
            return loop.create_task(coroutine)
        first = _FirstStep()
        context = contextvars.copy_context()
        _enter_task(loop, first)  # type: ignore[arg-type]  # looks enough like a task
        try:
            waits_for = context.run(coroutine.send, None)
        except StopIteration as stop:
            done = loop.create_future()
            done.set_result(stop.value)
            return done
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            failed = loop.create_future()
            if isinstance(error, asyncio.CancelledError):
                failed.cancel()
            else:
                failed.set_exception(error)
            return failed
        finally:
            _leave_task(loop, first)  # type: ignore[arg-type]
        task = loop.create_task(_rest(coroutine, waits_for), context=context)
        first.became(task)
        return task
