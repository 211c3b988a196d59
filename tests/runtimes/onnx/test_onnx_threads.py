"""Threads of sessions: small models have none of their own, large ones share what the process may have."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path

import pytest
from oipserver_onnx import session as session_module
from oipserver_onnx.threads import HELPERS_PER_CORE, SMALL_MODEL_BYTES, ThreadBudget

from oipserver.runtime.cores import usable_cores

from .graphs import add, dense, loaded, make

LARGE = SMALL_MODEL_BYTES


def test_a_small_model_runs_on_the_calling_thread() -> None:
    budget = ThreadBudget(16)
    assert budget.take(instances=1, model_bytes=LARGE - 1) == 1
    assert budget.left == 16 * HELPERS_PER_CORE


@pytest.mark.parametrize(
    ("cores", "instances", "threads"), [(1, 1, 1), (2, 1, 2), (2, 2, 1), (16, 1, 16), (16, 4, 4), (16, 5, 3), (4, 9, 1)]
)
def test_a_large_model_gets_its_share_of_the_cores(cores: int, instances: int, threads: int) -> None:
    assert ThreadBudget(cores).take(instances, LARGE) == threads


def test_many_models_share_what_one_process_may_have() -> None:
    budget = ThreadBudget(16)
    taken = [budget.take(1, LARGE) for _ in range(500)]
    assert taken[:10] == [16] * 10
    assert taken == sorted(taken, reverse=True)
    assert taken[-1] == 1
    assert sum(taken) - len(taken) <= 16 * HELPERS_PER_CORE
    for threads in taken:
        budget.give_back(threads)
    assert budget.left == 16 * HELPERS_PER_CORE


def test_usable_cores_are_no_more_than_the_machine_has() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def pool_threads() -> int:
    return len(os.listdir("/proc/self/task"))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc")
class TestSessions:
    @pytest.fixture
    def budget(self, monkeypatch: pytest.MonkeyPatch) -> ThreadBudget:
        budget = ThreadBudget(4)
        monkeypatch.setattr(session_module, "_budget", budget)
        return budget

    def test_sessions_of_small_models_start_no_threads(self, tmp_path: Path) -> None:
        path = add(tmp_path / "model.onnx")
        session_module.load_graph(make(path).settings)
        before = pool_threads()
        sessions = [session_module.load_graph(make(path).settings) for _ in range(20)]
        assert pool_threads() == before
        assert {loaded_graph.threads for loaded_graph in sessions} == {1}

    def test_two_sessions_of_a_large_model_start_what_they_were_given(
        self, tmp_path: Path, budget: ThreadBudget
    ) -> None:
        path = dense(tmp_path / "model.onnx", 512, 512)
        before = pool_threads()
        one = session_module.load_graph(make(path).settings)
        assert (one.threads, pool_threads() - before) == (4, 3)
        two = session_module.load_graph(make(path, {"instances": 2}).settings)
        assert (two.threads, pool_threads() - before) == (2, 4)
        assert budget.left == 4 * HELPERS_PER_CORE - 4
        del one, two
        gc.collect()
        assert budget.left == 4 * HELPERS_PER_CORE
        assert pool_threads() == before

    def test_an_explicit_number_counts_and_takes_nothing_from_others(
        self, tmp_path: Path, budget: ThreadBudget
    ) -> None:
        path = dense(tmp_path / "model.onnx", 512, 512)
        before = pool_threads()
        one = session_module.load_graph(make(path, {"session_options": {"intra_op_num_threads": 3}}).settings)
        assert (one.threads, pool_threads() - before) == (3, 2)
        assert budget.left == 4 * HELPERS_PER_CORE

    def test_unload_and_a_failed_load_give_back(self, tmp_path: Path, budget: ThreadBudget) -> None:
        path = dense(tmp_path / "model.onnx", 512, 512)
        model = loaded(path)
        assert budget.left == 4 * HELPERS_PER_CORE - 3
        asyncio.run(model.unload())
        gc.collect()
        assert budget.left == 4 * HELPERS_PER_CORE
        path.write_bytes(b"x" * SMALL_MODEL_BYTES)
        with pytest.raises(Exception, match="not an ONNX model"):
            loaded(path)
        assert budget.left == 4 * HELPERS_PER_CORE
