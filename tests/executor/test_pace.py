"""Which models run on the event loop."""

from __future__ import annotations

from itertools import pairwise

from oipserver.executor.pace import INLINE_LIMIT_NS, Pace

QUICK, SLOW = INLINE_LIMIT_NS // 10, INLINE_LIMIT_NS * 2


def test_an_unknown_model_is_not_quick() -> None:
    assert not Pace().quick


def test_one_undisturbed_call_of_several_shows_that_a_model_is_quick() -> None:
    pace = Pace()
    for elapsed in (SLOW * 20, SLOW, QUICK, SLOW):  # three of them waited for the interpreter lock
        assert not pace.quick
        pace.in_thread(elapsed)
    assert pace.quick


def test_a_slow_model_stays_in_threads() -> None:
    pace = Pace()
    for _ in range(1000):
        pace.in_thread(SLOW)
    assert not pace.quick


def test_what_is_slow_on_the_loop_leaves_it_and_comes_back_ever_more_rarely() -> None:
    pace = Pace()
    returns = []
    for call in range(2000):
        if pace.quick:
            returns.append(call)
            while pace.quick:
                pace.on_loop(SLOW)
        pace.in_thread(QUICK)
    gaps = [later - earlier for earlier, later in pairwise(returns)]
    assert gaps == sorted(gaps)
    assert len(returns) < 12


def test_one_outlier_does_not_drive_a_quick_model_off() -> None:
    pace = Pace()
    for _ in range(8):
        pace.in_thread(QUICK)
    pace.on_loop(10**9)
    assert pace.quick
    for _ in range(20):
        pace.on_loop(10**9)
    assert not pace.quick


def test_calls_in_threads_do_not_drive_a_quick_model_off() -> None:
    pace = Pace()
    for _ in range(4):
        pace.in_thread(QUICK)
    for _ in range(100):
        pace.in_thread(SLOW)
    assert pace.quick
