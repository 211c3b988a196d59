"""The bounded way from the loop to a thread."""

from __future__ import annotations

import asyncio
from threading import Thread

from oipserver.wire.grpc.outbox import Outbox


def test_items_come_in_order_and_the_end_behind_them() -> None:
    outbox: Outbox[int] = Outbox(3)

    async def fill() -> None:
        for number in range(3):
            await outbox.put(number)

    asyncio.run(fill())
    outbox.close()
    assert list(outbox) == [0, 1, 2]


def test_a_full_outbox_makes_coroutines_wait_for_the_reader() -> None:
    async def scenario() -> list[int]:
        outbox: Outbox[int] = Outbox(2)
        writers = [asyncio.create_task(outbox.put(number)) for number in range(100)]
        await asyncio.sleep(0)
        assert [writer.done() for writer in writers].count(True) == 2
        read: list[int] = []
        reader = Thread(target=lambda: read.extend(outbox))
        reader.start()
        await asyncio.gather(*writers)
        outbox.close()
        await asyncio.to_thread(reader.join)
        return read

    assert sorted(asyncio.run(scenario())) == list(range(100))


def test_a_cancelled_writer_leaves_its_room_to_the_next() -> None:
    async def scenario() -> list[int]:
        outbox: Outbox[int] = Outbox(1)
        await outbox.put(0)
        first, second = (asyncio.create_task(outbox.put(number)) for number in (1, 2))
        await asyncio.sleep(0)
        items = iter(outbox)
        read = [next(items)]
        first.cancel()  # in the moment in which it is being woken
        await second
        outbox.close()
        return [*read, *items]

    assert asyncio.run(scenario()) == [0, 2]
