"""Shared memory: ranges never overlap, what is freed is whole again, a worker cannot shrink it, unused memory goes."""

from __future__ import annotations

import os
from mmap import PAGESIZE

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from oipserver.executor.pool import memory as memory_module
from oipserver.executor.pool.memory import SharedMemory, create_file

CAPACITY = 64 * PAGESIZE


def shared(capacity: int = CAPACITY) -> SharedMemory:
    fd = create_file(capacity)
    try:
        return SharedMemory(fd)
    finally:
        os.close(fd)


class Allocations(RuleBasedStateMachine):
    """Any sequence of allocations and frees."""

    def __init__(self) -> None:
        super().__init__()
        self.half = shared().requests
        self.held: dict[int, int] = {}

    @rule(size=st.integers(1, CAPACITY // 2))
    def allocate(self, size: int) -> None:
        start = self.half.allocate(size)
        if start is not None:
            self.held[start] = size

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        start = data.draw(st.sampled_from(sorted(self.held)))
        self.half.free(start)
        del self.held[start]

    @rule()
    def trim(self) -> None:
        self.half.trim()

    @invariant()
    def ranges_are_apart(self) -> None:
        end = 0
        for start, size in sorted(self.held.items()):
            assert start >= end
            assert start % 64 == 0
            end = start + size
        assert end <= CAPACITY
        assert self.half.blocks == len(self.held)

    def teardown(self) -> None:
        for start in self.held:
            self.half.free(start)
        assert self.half.allocate(CAPACITY) == 0, "all of it is one range again"


TestAllocations = Allocations.TestCase
TestAllocations.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_what_was_not_handed_out_cannot_be_given_back() -> None:
    half = shared().requests
    half.allocate(64)
    with pytest.raises(KeyError):
        half.free(64)


@pytest.mark.parametrize(("start", "size"), [(-64, 64), (0, CAPACITY + 1), (CAPACITY, 1), (0, -1)])
def test_views_stay_inside(start: int, size: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        shared().answers.view(start, size)


def test_both_halves_and_the_board_are_apart() -> None:
    memory = shared()
    memory.requests.view(0, CAPACITY)[:] = 1
    memory.answers.view(0, CAPACITY)[:] = 2
    assert memory.board.executing() == set()
    entries = [memory.board.begin(call) for call in (7, 2**63, 9)]
    memory.board.beat()
    memory.board.end(entries[0])
    assert memory.board.executing() == {2**63, 9}
    assert memory.board.last_beat > 0
    assert set(memory.requests.view(0, CAPACITY)) == {1}
    assert set(memory.answers.view(0, CAPACITY)) == {2}


def test_the_file_cannot_be_resized_and_has_no_name() -> None:
    before = os.listdir("/dev/shm")
    fd = create_file(CAPACITY)
    try:
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 0)
        assert os.listdir("/dev/shm") == before
    finally:
        os.close(fd)


def test_memory_that_is_not_used_any_more_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "KEEP_BYTES", 4 * PAGESIZE)
    fd = create_file(CAPACITY)
    half = SharedMemory(fd).requests
    start = half.allocate(CAPACITY)
    assert start == 0
    half.view(0, CAPACITY)[:] = 1
    half.free(0)
    half.trim()  # it was used since the last time
    assert os.fstat(fd).st_blocks * 512 >= CAPACITY
    half.trim()
    assert os.fstat(fd).st_blocks * 512 <= 5 * PAGESIZE
    os.close(fd)
