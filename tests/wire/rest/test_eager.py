import asyncio
import contextvars

import pytest

from oipserver.wire.rest.eager import run_eagerly
from tests.wire.rest.rest_world import run

VARIABLE = contextvars.ContextVar("variable", default=0)


def in_callback(start):
    """What a protocol's callback does: no task is current there."""

    async def main():
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def callback():
            try:
                done.set_result(start(loop))
            except BaseException as error:
                done.set_exception(error)

        loop.call_soon(callback)
        return await done

    return main()


def test_what_never_waits_is_done_at_once():
    async def main():
        async def work():
            return 7

        task = await in_callback(lambda loop: run_eagerly(work(), loop))
        assert task.done()
        assert task.result() == 7

    run(main)


def test_an_exception_before_waiting_is_kept():
    async def main():
        async def work():
            raise ValueError("x")

        task = await in_callback(lambda loop: run_eagerly(work(), loop))
        assert task.done()
        with pytest.raises(ValueError, match="x"):
            task.result()

    run(main)


def test_what_waits_goes_on_as_a_task_and_calls_back():
    async def main():
        gate = asyncio.Event()
        order = []

        async def work():
            order.append("begun")
            await gate.wait()
            await asyncio.sleep(0)
            order.append("ended")
            return "value"

        task = await in_callback(lambda loop: run_eagerly(work(), loop))
        assert order == ["begun"]
        assert not task.done()
        assert task in asyncio.all_tasks()
        task.add_done_callback(lambda _: order.append("told"))
        gate.set()
        assert await task == "value"
        await asyncio.sleep(0)
        assert order == ["begun", "ended", "told"]

    run(main)


def test_an_exception_after_waiting_is_kept():
    async def main():
        async def work():
            await asyncio.sleep(0)
            raise ValueError("later")

        task = await in_callback(lambda loop: run_eagerly(work(), loop))
        with pytest.raises(ValueError, match="later"):
            await task

    run(main)


def test_cancelling_reaches_what_waits():
    async def main():
        seen = []

        async def work():
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        task = await in_callback(lambda loop: run_eagerly(work(), loop))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == ["cancelled"]

    run(main)


def test_a_bare_yield_is_a_turn_of_the_loop():
    async def main():
        async def work():
            await asyncio.sleep(0)
            return 1

        assert await (await in_callback(lambda loop: run_eagerly(work(), loop))) == 1

    run(main)


def test_there_is_a_current_task_from_the_beginning():
    """Which may be asked to cancel what became of it: ``asyncio.timeout`` does."""

    async def main():
        async def work():
            first = asyncio.current_task()
            assert first is not None
            await asyncio.sleep(0)
            assert asyncio.current_task() is task
            first.cancel()
            assert first.cancelling() == task.cancelling() == 1
            await asyncio.sleep(0)

        task = await in_callback(lambda loop: run_eagerly(work(), loop))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    run(main)


def test_cancelling_in_the_first_step_cancels_at_the_first_wait():
    async def main():
        steps = []

        async def work():
            current = asyncio.current_task()
            assert current is not None
            current.cancel()
            steps.append("before")
            await asyncio.sleep(0)
            steps.append("after")

        task = await in_callback(lambda loop: run_eagerly(work(), loop))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert steps == ["before"]

    run(main)


def test_a_timeout_begun_before_the_first_wait_expires():
    async def main():
        async def work():
            async with asyncio.timeout(0.01):
                await asyncio.get_running_loop().create_future()

        task = await in_callback(lambda loop: run_eagerly(work(), loop))
        with pytest.raises(TimeoutError):
            await task

    run(main)


def test_context_variables_stay_inside():
    async def main():
        async def work():
            VARIABLE.set(5)

        def start(loop):
            run_eagerly(work(), loop)
            return VARIABLE.get()

        assert await in_callback(start) == 0

    run(main)


def test_it_works_from_within_a_task_too():
    async def main():
        me = asyncio.current_task()

        async def work():
            await asyncio.sleep(0)
            return asyncio.current_task()

        inner = run_eagerly(work(), asyncio.get_running_loop())
        assert asyncio.current_task() is me
        assert await inner is inner

    run(main)
