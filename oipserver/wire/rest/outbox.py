"""Small answers of many connections, written together; knows no request."""

from __future__ import annotations

import asyncio

_TOGETHER = 8  # answers; an answer waits for the making of so many others at most


class Outbox:
    """Holds small answers back to the end of the loop's turn in which they were made.

    A write wakes the client's machine or process. One that sleeps between every two answers costs the server several
    times the write itself; one that finds the next answer already there does not go back to sleep.
    """

    def __init__(self) -> None:
        self._answers: list[tuple[asyncio.WriteTransport, bytes]] = []

    def put(self, loop: asyncio.AbstractEventLoop, transport: asyncio.WriteTransport, answer: bytes) -> None:
        """Write ``answer`` to ``transport`` soon, behind what was put before."""
        answers = self._answers
        if not answers:
            loop.call_soon(self.flush)
        answers.append((transport, answer))
        if len(answers) >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write everything now: before something else is written, and before a connection closes."""
        if self._answers:
            answers, self._answers = self._answers, []
            for transport, answer in answers:
                if not transport.is_closing():
                    transport.write(answer)
