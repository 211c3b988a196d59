"""A few thousand changed requests to each decoder; ``tests/fuzz/run.py`` sends as many as one likes."""

from __future__ import annotations

import asyncio

import pytest

from .run import fuzz

INPUTS = 4000


@pytest.mark.parametrize("target", ["rest-json", "rest-binary", "generate", "grpc"])
def test_no_request_is_worse_than_a_clients_mistake(target: str) -> None:
    outcomes = asyncio.run(fuzz(target, INPUTS, seed=1))
    assert outcomes.total() == INPUTS
    good = outcomes["200"] + outcomes["OK"]
    assert INPUTS / 50 < good < INPUTS, "changes are so large, or so small, that little is tried"
