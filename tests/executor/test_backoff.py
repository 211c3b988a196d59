"""Replacing dead workers: at once first, then ever later, and not for ever."""

from __future__ import annotations

from oipserver.executor.pool.backoff import LONGEST_DELAY, STEADY, Backoff


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff(max_deaths=1000, window=1e9)
    delays = [backoff.after_death(now, 0.0) for now in range(40)]
    assert delays[:6] == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6]
    assert delays[-1] == LONGEST_DELAY


def test_a_worker_that_lived_for_a_while_is_replaced_at_once() -> None:
    backoff = Backoff(max_deaths=1000, window=60.0)
    for now in range(5):
        backoff.after_death(now, 0.0)
    assert backoff.after_death(100.0, STEADY) == 0.0
    assert backoff.after_death(101.0, 1.0) == 0.0
    assert backoff.after_death(102.0, 1.0) == 0.1


def test_it_gives_up_at_the_last_death_within_the_window() -> None:
    backoff = Backoff(max_deaths=3, window=10.0)
    assert backoff.after_death(0.0, 1.0) is not None
    assert backoff.after_death(9.0, 1.0) is not None
    assert backoff.after_death(10.5, 1.0) is not None, "the first one is out of the window"
    assert backoff.after_death(11.0, 1.0) is None
    backoff.forget()
    assert backoff.after_death(12.0, 1.0) == 0.0
