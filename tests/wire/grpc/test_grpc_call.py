"""One call as the handlers see it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

import pytest

from oipserver.errors import UnavailableError
from oipserver.wire.grpc.call import GrpcCall


class Context:
    """grpcio's context as far as a call looks at it."""

    def __init__(self, remaining: float | None = None, over: bool = False) -> None:
        self._remaining = remaining
        self._over = over
        self.looked = 0
        self.callbacks: list[Callable[[], object]] = []

    def time_remaining(self) -> float | None:
        return self._remaining

    def invocation_metadata(self) -> Any:
        self.looked += 1
        return (("user-agent", "x"), ("data-bin", b"\0"))

    def add_callback(self, callback: Callable[[], object]) -> bool:
        self.callbacks.append(callback)
        return not self._over


def call(context: Context) -> GrpcCall:
    loop = asyncio.new_event_loop()
    loop.close()
    return GrpcCall(context, loop)


@pytest.mark.parametrize("remaining", [None, 9.2e18])
def test_no_deadline(remaining: float | None) -> None:
    assert call(Context(remaining)).deadline is None


def test_a_deadline_is_an_instant() -> None:
    before = monotonic_ns()
    deadline = call(Context(2.0)).deadline
    assert deadline is not None
    assert before + 2_000_000_000 <= deadline <= monotonic_ns() + 2_000_000_000


def test_metadata_are_read_once_and_only_when_somebody_looks() -> None:
    context = Context()
    headers = call(context).headers
    assert context.looked == 0
    assert headers["user-agent"] == "x"
    assert dict(headers) == {"user-agent": "x"}
    assert len(headers) == 1
    assert context.looked == 1


def test_a_call_that_is_over_is_told_at_once() -> None:
    told: list[int] = []
    call(Context(over=True)).on_end(lambda: told.append(1))
    assert told == [1]


def test_a_loop_that_is_closed_means_the_server_is_stopping() -> None:
    async def work() -> None:
        raise AssertionError("never runs")

    with pytest.raises(UnavailableError, match="the server is stopping"):
        call(Context()).wait(work())
