"""Threads for the calls of a model: outcomes, bounds, cancellation, the end."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable

import pytest

from oipserver.executor.threads import ModelThreads


def run(test: Callable[[ModelThreads], Awaitable[None]], count: int = 2) -> None:
    async def main() -> None:
        threads = ModelThreads(count, "model-m")
        try:
            async with asyncio.timeout(20):
                await test(threads)
        finally:
            await threads.stop()

    asyncio.run(main())


def test_a_call_returns_and_raises_in_a_thread_of_the_models_name() -> None:
    async def test(threads: ModelThreads) -> None:
        assert await threads.run(lambda: threading.current_thread().name) == "model-m_0"
        with pytest.raises(ZeroDivisionError):
            await threads.run(lambda: 1 // 0)
        assert await threads.run(lambda: 7) == 7

    run(test)


def test_as_many_run_at_once_as_there_may_be_threads_and_no_thread_is_begun_without_need() -> None:
    async def test(threads: ModelThreads) -> None:
        for _ in range(5):
            await threads.run(int)
        assert len(threads._threads) == 1
        meet, most = threading.Barrier(2), []

        def call() -> None:
            meet.wait(10)
            most.append(sum(thread.name.startswith("model-m") for thread in threading.enumerate()))

        await asyncio.gather(*[threads.run(call) for _ in range(6)])
        assert most == [2] * 6

    run(test)


def test_a_call_cancelled_in_the_queue_is_not_begun_and_one_under_way_is_dropped() -> None:
    async def test(threads: ModelThreads) -> None:
        loop = asyncio.get_running_loop()
        begun, go, ran = asyncio.Event(), threading.Event(), []

        def first() -> None:
            loop.call_soon_threadsafe(begun.set)
            assert go.wait(10)

        under_way, queued = threads.run(first), threads.run(lambda: ran.append("queued"))
        await begun.wait()
        under_way.cancel()
        queued.cancel()
        go.set()
        assert await threads.run(lambda: "next") == "next"
        assert ran == []
        assert under_way.cancelled()
        assert queued.cancelled()

    run(test, count=1)


def test_stop_waits_for_calls_under_way_and_ends_the_threads() -> None:
    async def test(threads: ModelThreads) -> None:
        loop = asyncio.get_running_loop()
        begun, go, ended = asyncio.Event(), threading.Event(), []

        def call() -> None:
            loop.call_soon_threadsafe(begun.set)
            assert go.wait(10)
            ended.append(True)

        answer = threads.run(call)
        await begun.wait()
        (thread,) = threads._threads
        stopping = asyncio.ensure_future(threads.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        go.set()
        await stopping
        assert ended == [True]
        assert not thread.is_alive()
        await answer

    run(test)


def test_a_thread_with_nothing_to_do_keeps_nothing_of_its_last_call() -> None:
    class Large:
        pass

    async def test(threads: ModelThreads) -> None:
        kept = weakref.ref(await threads.run(Large))
        await threads.run(int)
        gc.collect()
        assert kept() is None

    run(test, count=1)


def test_a_loop_that_is_gone_stops_no_thread() -> None:
    threads, go = ModelThreads(1), threading.Event()

    async def leave() -> None:
        threads.run(lambda: go.wait(10))  # type: ignore[unused-awaitable]

    asyncio.run(leave())
    go.set()

    async def later() -> None:
        assert await threads.run(lambda: 3) == 3
        await threads.stop()

    asyncio.run(later())
