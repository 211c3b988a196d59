"""The pool as a whole: workers that die, hang or lie, and what their callers are told; no request goes missing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from oipserver.errors import InternalError, ModelLoadError, ResourceExhaustedError, UnavailableError
from oipserver.executor import Executor
from oipserver.executor.pool.seat import Timers
from oipserver.executor.pool.states import WorkerState
from oipserver.protocol import InferResponse
from oipserver.telemetry.custom import MetricEvent, set_sink

from .support import loaded, model_settings, parameters_of, parts_of, pids, pool_manager, request, until

KILL_ME = {"worker_max_deaths": 1000}


def outcome(result: Any) -> str:
    return "answered" if not isinstance(result, BaseException) else type(result).__name__


async def ask(executor: Executor, **parameters: Any) -> Any:
    """The answer, or the error; a request's number must come back."""
    try:
        response = await executor.execute(request(**parameters))
    except Exception as error:
        return error
    assert parameters_of(response).get("n", 0) == parameters.get("n", 0)
    return response


# -- death -----------------------------------------------------------------------------------------------------------


def test_one_of_two_workers_dies_under_load_and_nothing_is_lost() -> None:
    async def run() -> None:
        async with pool_manager(parallel_workers=2, **KILL_ME) as manager:
            executor = manager.executor(model_settings("Dies"))
            await executor.load()
            calls = [asyncio.create_task(ask(executor, n=n, sleep=0.002 * (n % 5))) for n in range(200)]
            await calls[0]
            os.kill(pids(manager)[0], signal.SIGKILL)
            results = await asyncio.gather(*calls)
            assert Counter(map(outcome, results)) == {"answered": 200}
            await until(lambda: executor.slots >= 2)
            assert len(set(pids(manager))) == 2

    asyncio.run(run())


def test_all_workers_die_at_once_and_recover() -> None:
    async def run() -> None:
        async with pool_manager(parallel_workers=2, **KILL_ME) as manager:
            executor = manager.executor(model_settings("Dies"))
            await executor.load()
            calls = [asyncio.create_task(ask(executor, n=n, sleep=0.02 * (n % 5))) for n in range(50)]
            await calls[0]
            for pid in pids(manager):
                os.kill(pid, signal.SIGKILL)
            await until(lambda: executor.slots == 0)
            assert "was killed by SIGKILL" in executor.unavailable_reason
            refused = await ask(executor)
            assert isinstance(refused, UnavailableError)
            assert refused.retry_after
            results = await asyncio.gather(*calls)
            assert Counter(map(outcome, results)) == {"answered": 50}
            await until(lambda: len(pids(manager)) == 2 and executor.slots >= 2)
            assert executor.unavailable_reason == ""
            assert outcome(await ask(executor)) == "answered"

    asyncio.run(run())


def test_a_request_that_kills_two_workers_is_refused_and_harms_no_other() -> None:
    async def run() -> None:
        async with pool_manager(parallel_workers=2, **KILL_ME) as manager:
            executor = manager.executor(model_settings("Dies"))
            await executor.load()
            first = set(pids(manager))
            good = [asyncio.create_task(ask(executor, n=n, sleep=0.05)) for n in range(20)]
            bad = await ask(executor, die=True)
            assert isinstance(bad, InternalError)
            assert "two workers died executing this request" in bad.message
            assert Counter(map(outcome, await asyncio.gather(*good))) == {"answered": 20}
            await until(lambda: executor.slots >= 2)
            seen = first | set(pids(manager))
            assert len(seen) <= 4, "it must not be tried a third time"
            (pool,) = manager.pools
            assert (pool.deaths, pool.restarts) == (2, 2)

    asyncio.run(run())


def test_a_request_in_execution_is_retried_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with loaded("Dies", **KILL_ME) as executor:
            assert outcome(await ask(executor, once=str(tmp_path / "once"))) == "answered"

    asyncio.run(run())


@pytest.mark.parametrize(("model", "settings"), [({"stateful": True}, {}), ({}, {"worker_retry": False})])
def test_a_request_in_execution_is_not_retried_where_it_must_not_be(
    model: dict[str, Any], settings: dict[str, Any], tmp_path: Path
) -> None:
    async def run() -> None:
        async with loaded("Dies", model, **KILL_ME, **settings) as executor:
            failed = await ask(executor, once=str(tmp_path / "once"))
            assert isinstance(failed, InternalError)
            assert "the worker executing this request was killed by SIGKILL" in failed.message
            await until(lambda: executor.slots)
            assert outcome(await ask(executor)) == "answered"

    asyncio.run(run())


def test_requests_not_begun_are_no_suspects(tmp_path: Path) -> None:
    """Behind a blocking model they wait in the worker; even a stateful model gets them once it is back."""

    async def run() -> None:
        async with pool_manager(**KILL_ME) as manager:
            blocks = manager.executor(model_settings("Blocks"))
            stateful = manager.executor(model_settings("Dies", stateful=True))
            await blocks.load()
            await stateful.load()
            gate = tmp_path / "gate"
            first = asyncio.create_task(ask(blocks, gate=str(gate)))
            await until(gate.with_suffix(".begun").exists)
            behind = [asyncio.create_task(ask(stateful, n=n)) for n in range(10)]
            await asyncio.sleep(0)
            os.kill(pids(manager)[0], signal.SIGKILL)
            results = asyncio.gather(*behind)
            gate.touch()
            assert Counter(map(outcome, await results)) == {"answered": 10}
            assert outcome(await first) == "answered"

    asyncio.run(run())


def test_a_stream_that_answered_is_not_begun_again() -> None:
    async def run() -> None:
        async with loaded("Counts", **KILL_ME) as executor:
            parts: list[InferResponse] = []
            with pytest.raises(InternalError, match="was killed by SIGKILL"):
                await parts_of(executor.stream(request(n=10, die_at=3)), parts)
            assert len(parts) == 3

    asyncio.run(run())


def test_a_cancelled_call_is_not_run_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with pool_manager(**KILL_ME) as manager:
            executor = manager.executor(model_settings("Blocks"))
            await executor.load()
            gate = tmp_path / "gate"
            call = asyncio.create_task(ask(executor, gate=str(gate)))
            await until(gate.with_suffix(".begun").exists)
            call.cancel()
            await asyncio.wait([call])
            assert executor.slots == 0, "the worker is still busy with it"
            assert executor.unavailable_reason == ""
            gate.with_suffix(".begun").unlink()
            os.kill(pids(manager)[0], signal.SIGKILL)
            await until(lambda: executor.slots == 1)
            assert not gate.with_suffix(".begun").exists()

    asyncio.run(run())


def test_a_cancelled_call_gives_its_slot_back_when_it_ends(tmp_path: Path) -> None:
    async def run() -> None:
        async with loaded("Blocks") as executor:
            gate = tmp_path / "gate"
            call = asyncio.create_task(ask(executor, gate=str(gate)))
            await until(gate.with_suffix(".begun").exists)
            call.cancel()
            await asyncio.wait([call])
            changed = asyncio.Event()
            executor.changed = changed.set
            gate.touch()
            await asyncio.wait_for(changed.wait(), 10)
            assert executor.slots == 1

    asyncio.run(run())


def test_a_storm_of_deaths_loses_no_request() -> None:
    """Three workers, calls of every sort, a worker killed every now and then: each call is answered right, or fails
    with the one error there is for those that two workers died of."""
    rng = random.Random(7)

    async def run() -> None:
        async with pool_manager(parallel_workers=3, **KILL_ME) as manager:
            doubler = manager.executor(model_settings("Doubler"))
            dies = manager.executor(model_settings("Dies"))
            counts = manager.executor(model_settings("Counts"))
            for executor in (doubler, dies, counts):
                await executor.load()
            outcomes: Counter[str] = Counter()

            async def double(number: int) -> None:
                array = np.full(rng.choice([1, 1000, 20_000]), number)
                response = await doubler.execute(request(array))
                assert (response.outputs[0].array == 2 * array).all()

            async def count(_: int) -> None:
                parts: list[InferResponse] = []
                await parts_of(counts.stream(request(n=20)), parts)
                assert [int(part.outputs[0].array[0]) for part in parts] == list(range(20))

            async def client(number: int, work: Callable[[int], Awaitable[None]]) -> None:
                for turn in range(40):
                    try:
                        await work(number * 1000 + turn)
                        outcomes["answered"] += 1
                    except (UnavailableError, InternalError) as error:
                        outcomes[f"{type(error).__name__}: {error.message}"] += 1
                        await until(lambda: doubler.slots and dies.slots and counts.slots)

            async def wait(number: int) -> None:
                response = await dies.execute(request(n=number, sleep=0.003))
                assert parameters_of(response)["n"] == number

            clients = [asyncio.create_task(client(n, work)) for n in range(5) for work in (double, count, wait)]
            killed = 0
            while killed < 6 and not all(task.done() for task in clients):
                await asyncio.sleep(0.1)
                if running := pids(manager):
                    os.kill(rng.choice(running), signal.SIGKILL)
                    killed += 1
            await asyncio.gather(*clients)
            assert sum(outcomes.values()) == 15 * 40
            assert killed >= 1
            refused = [text for text in outcomes if text != "answered"]
            known = ("two workers died executing this request", "the worker executing this request was killed")
            assert all(any(part in text for part in (*known, "is not available: its worker")) for text in refused)
            assert outcomes["answered"] >= 0.9 * 600
            await until(lambda: len(pids(manager)) == 3)
            assert manager.pools[0].waiting == 0
            assert not any(worker.calls for worker in manager.pools[0].workers)

    asyncio.run(run())


def test_a_dead_worker_leaves_nothing_to_the_garbage_collector() -> None:
    def mapped() -> int:
        return Path("/proc/self/maps").read_text().count("/memfd:oipserver")

    async def run() -> None:
        async with pool_manager(parallel_workers=2, **KILL_ME) as manager:
            echo = manager.executor(model_settings("Echo"))
            await echo.load()
            kept = await echo.execute(request(np.arange(100_000)))
            gc.collect()
            gc.disable()
            try:
                before = mapped(), len(os.listdir("/proc/self/fd"))
                for _ in range(2):  # the second blow hits workers that are starting
                    dead = manager.pools[0].workers
                    calls = [asyncio.create_task(echo.execute(request(np.zeros(100_000)))) for _ in range(8)]
                    await asyncio.sleep(0)
                    for worker in dead:
                        os.kill(worker.pid, signal.SIGKILL)
                    await until(lambda dead=dead: not any(worker.alive for worker in dead))
                    await until(lambda: len(pids(manager)) == 2)
                del dead, worker
                await until(lambda: echo.slots == 2)
                await asyncio.gather(*calls, return_exceptions=True)
                del calls
                assert (kept.outputs[0].array == np.arange(100_000)).all(), "what somebody still reads is still there"
                del kept
                await until(lambda: (mapped(), len(os.listdir("/proc/self/fd"))) <= before)
            finally:
                gc.enable()

    asyncio.run(run())


class SteppedTimers:
    """Time that stands still but for what is slept; keeps what was slept."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def timers(self) -> Timers:
        return Timers(clock=lambda: self.now, sleep=self.sleep)


def test_workers_that_keep_dying_are_given_up_until_a_reload() -> None:
    steps = SteppedTimers()

    async def run() -> None:
        settings = {"worker_max_deaths": 5, "worker_deaths_window": 60.0, "timers": steps.timers()}
        async with pool_manager(**settings) as manager:
            executor = manager.executor(model_settings("Dies"))
            await executor.load()
            for _ in range(5):
                await until(lambda: executor.slots == 1)
                (pid,) = pids(manager)
                os.kill(pid, signal.SIGKILL)
                await until(lambda pid=pid: pid not in pids(manager))
            await until(lambda: "5 deaths within 60 s" in executor.unavailable_reason)
            assert executor.slots == 0
            assert steps.slept == [0.1, 0.2, 0.4]
            assert isinstance(await ask(executor), UnavailableError)

            again = manager.executor(model_settings("Dies"))
            await again.load()
            assert outcome(await ask(again)) == "answered"
            await until(lambda: executor.slots == 1)
            assert executor.unavailable_reason == ""

    asyncio.run(run())


def test_a_worker_killed_while_it_starts_for_the_first_time_is_replaced() -> None:
    async def run() -> None:
        async with pool_manager(parallel_workers=2, **KILL_ME) as manager:
            executor = manager.executor(model_settings("Dies"))
            loading = asyncio.create_task(executor.load())
            await until(lambda: manager.pools and len(pids(manager)) == 2)
            first = pids(manager)
            assert not any(worker.greeted for worker in manager.pools[0].workers)
            for pid in first:
                os.kill(pid, signal.SIGKILL)
            await loading
            await until(lambda: executor.slots == 2)
            assert not set(first) & set(pids(manager))

    asyncio.run(run())


# -- hanging and lying -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["lock", "interpreter"])
def test_a_hung_worker_is_replaced_and_its_request_retried(how: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with pool_manager(worker_heartbeat_timeout=0.5, **KILL_ME) as manager:
            executor = manager.executor(model_settings("Hangs"))
            await executor.load()
            (before,) = pids(manager)
            assert outcome(await ask(executor, how=how, path=str(tmp_path / "first"))) == "answered"
            assert pids(manager) != [before]

    asyncio.run(run())


@pytest.mark.parametrize("how", ["compute", "await"])
def test_a_long_call_is_no_hang(how: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with pool_manager(worker_heartbeat_timeout=0.4) as manager:
            executor = manager.executor(model_settings("Hangs"))
            await executor.load()
            before = pids(manager)
            assert outcome(await ask(executor, how=how, seconds=1.3, path=str(tmp_path / "first"))) == "answered"
            assert pids(manager) == before

    asyncio.run(run())


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff" * 64,  # a length beyond all bounds
        bytes([4, 0, 0, 0, 99, 0, 0, 0]) + bytes(8) + bytes(4),  # a kind that does not exist
        bytes([6, 0, 0, 0, 36, 0, 0, 0]) + bytes(8) + b"\x02\0\0\0[]",  # an answer to a call that does not exist
        bytes([6, 0, 0, 0, 36, 0, 0, 0]) + bytes(8) + b"\xff\0\0\0[]",  # metadata longer than the frame
        bytes([6, 0, 0, 0, 33, 0, 0, 0]) + bytes(8) + b"\x02\0\0\0{[",  # metadata that is no JSON
    ],
)
def test_a_worker_that_sends_nonsense_is_replaced(frame: bytes, tmp_path: Path) -> None:
    (tmp_path / "liar.py").write_text(
        dedent(f"""
        import os, socket, sys
        from oipserver import MLModel
        class Liar(MLModel):
            def infer_tensors(self, inputs, outputs, parameters):
                if parameters.get("lie"):
                    socket.socket(fileno=os.dup(int(sys.argv[1]))).sendall({frame!r})
                return []
        """)
    )

    async def run() -> None:
        async with pool_manager(**KILL_ME) as manager:
            executor = manager.executor(model_settings("liar.Liar", tmp_path))
            await executor.load()
            before = pids(manager)
            with pytest.raises(InternalError, match="two workers died"):
                await executor.execute(request(lie=True))
            await until(lambda: executor.slots)
            await executor.execute(request())
            assert pids(manager) != before

    asyncio.run(run())


# -- loading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raise", "FileNotFoundError"),
        ("exit", "the worker loading it was killed by SIGKILL"),
        ("hang", "was not loaded within 1.5 s"),
        ("block", "was not loaded within 1.5 s"),
    ],
)
def test_a_failed_load_leaves_nothing_and_harms_nobody(how: str, message: str) -> None:
    async def run() -> None:
        limits = {"model_load_timeout": 1.5 if how in ("hang", "block") else 20, "parallel_workers_timeout": 0.5}
        async with pool_manager(parallel_workers=2, **limits, **KILL_ME) as manager:
            good = manager.executor(model_settings("Dies"))
            await good.load()
            bad = manager.executor(model_settings("FailsToLoad", parameters={"extra": {"how": how}}))
            with pytest.raises(ModelLoadError, match=message):
                await bad.load()
            await until(lambda: good.slots == 2)
            (pool,) = manager.pools
            assert [model.name for model in pool.models_now()] == ["dies"]
            assert outcome(await ask(good)) == "answered"

    asyncio.run(run())


def test_a_new_worker_loads_what_is_loaded_now() -> None:
    async def run() -> None:
        async with pool_manager(**KILL_ME) as manager:
            executors = [manager.executor(model_settings("Dies", name=f"m{number}")) for number in range(3)]
            for executor in executors:
                await executor.load()
            await executors[1].unload()
            os.kill(pids(manager)[0], signal.SIGKILL)
            for executor in (executors[0], executors[2]):
                await until(lambda executor=executor: executor.slots)
                assert outcome(await ask(executor)) == "answered"

    asyncio.run(run())


def test_reload_sees_changed_code_and_old_and_new_answer_side_by_side(tmp_path: Path) -> None:
    async def run() -> None:
        async with pool_manager() as manager:
            write_model(tmp_path, "one", "uno")
            old = manager.executor(model_settings("Model", tmp_path))
            await old.load()
            assert await said(old) == "one uno"
            write_model(tmp_path, "two", "dos")  # same length, within the same second
            new = manager.executor(model_settings("Model", tmp_path))
            await new.load()
            assert [await said(old), await said(new)] == ["one uno", "two dos"]
            await old.unload()
            assert await said(new) == "two dos"

    asyncio.run(run())


def test_two_models_with_modules_of_the_same_names(tmp_path: Path) -> None:
    async def run() -> None:
        async with pool_manager() as manager:
            executors = []
            for word in ("one", "two"):
                folder = tmp_path / word
                folder.mkdir()
                write_model(folder, word, word.upper())
                executors.append(manager.executor(model_settings("Model", folder)))
                await executors[-1].load()
            assert [await said(executor) for executor in executors] == ["one ONE", "two TWO"]

    asyncio.run(run())


def write_model(folder: Path, word: str, helper: str) -> None:
    (folder / "helper.py").write_text(f"WORD = {helper!r}\n")
    (folder / "models.py").write_text(
        dedent(f"""
        from oipserver import MLModel, Tensor
        from oipserver.types import InferenceResponse
        class Model(MLModel):
            async def predict(self, payload):
                import helper
                said = {word!r} + " " + helper.WORD
                return InferenceResponse(model_name=self.name, outputs=[], parameters={{"said": said}})
        """)
    )


async def said(executor: Executor) -> str:
    text: str = parameters_of(await executor.execute(request()))["said"]
    return text


# -- slots and memory ------------------------------------------------------------------------------------------------


def test_a_model_that_awaits_gets_more_slots_and_one_that_blocks_does_not(tmp_path: Path) -> None:
    async def run() -> None:
        async with pool_manager() as manager:
            awaits = manager.executor(model_settings("Hangs"))
            blocks = manager.executor(model_settings("Tells"))
            for executor in (awaits, blocks):
                await executor.load()
                assert executor.slots == 1
            changes: list[int] = []
            awaits.changed = lambda: changes.append(awaits.slots)
            for _ in range(5):
                await ask(awaits, how="await", seconds=0.01, path=str(tmp_path / "x"))
                await ask(blocks)
            assert awaits.slots > 1
            assert changes[-1] == awaits.slots
            assert changes.count(awaits.slots) == 1, "told once"
            assert blocks.slots == 1

    asyncio.run(run())


def test_least_busy_worker_gets_the_next_call(tmp_path: Path) -> None:
    async def run() -> None:
        async with pool_manager(parallel_workers=2) as manager:
            blocks = manager.executor(model_settings("Blocks"))
            tells = manager.executor(model_settings("Tells"))
            await blocks.load()
            await tells.load()
            gate = tmp_path / "gate"
            call = asyncio.create_task(ask(blocks, gate=str(gate)))
            await until(gate.with_suffix(".begun").exists)
            told = [parameters_of(await ask(tells))["pid"] for _ in range(6)]
            gate.touch()
            await call
            assert len(set(told)) == 1, "all went to the idle worker"

    asyncio.run(run())


def test_shared_memory_is_used_again_and_its_end_is_told() -> None:
    async def run() -> None:
        async with loaded("Doubler", memory=8 << 20) as executor:
            array = np.zeros(1 << 18, np.float32)
            for _ in range(50):
                await executor.execute(request(array))
            with pytest.raises(ResourceExhaustedError, match="do not fit the memory shared with a worker"):
                await executor.execute(request(np.zeros(3 << 20, np.float32)))
            held = [(await executor.execute(request(array))).outputs for _ in range(8)]
            with pytest.raises(ResourceExhaustedError):
                await executor.execute(request(array))
            held.clear()
            gc.collect()
            await executor.execute(request(array))

    asyncio.run(run())


def test_nothing_is_kept_of_what_was_answered() -> None:
    async def run() -> None:
        async with pool_manager() as manager:
            executor = manager.executor(model_settings("Doubler"))
            await executor.load()
            (worker,) = manager.pools[0].workers
            response = await executor.execute(request(np.zeros(100_000)))
            assert worker.blocks_in_use == 1, "the answer alone"
            del response
            gc.collect()
            await until(lambda: worker.blocks_in_use == 0)

    asyncio.run(run())


# -- environment of workers ------------------------------------------------------------------------------------------


def test_workers_import_no_web_framework_and_get_their_device() -> None:
    async def run() -> None:
        async with pool_manager(parallel_workers=3, worker_devices=["0", "1"]) as manager:
            executor = manager.executor(model_settings("Tells"))
            await executor.load()
            told = await asyncio.gather(*(ask(executor) for _ in range(3)))
            facts = [parameters_of(answer) for answer in told]
            assert {fact["loaded"] for fact in facts} == {""}
            assert Counter(fact["cuda"] for fact in facts) == {"0": 2, "1": 1}

    asyncio.run(run())


def test_logs_and_metrics_of_workers_arrive_with_their_model(caplog: pytest.LogCaptureFixture) -> None:
    events: list[MetricEvent] = []

    async def run() -> None:
        async with loaded("Tells", {"parameters": {"version": "7"}}) as executor:
            await ask(executor)

    set_sink(events.append)
    try:
        with caplog.at_level(logging.WARNING):
            asyncio.run(run())
    finally:
        set_sink(None)
    assert events == [MetricEvent("my_metric", "histogram", events[0].description, 2.5, "tells", "7")]
    records = [record for record in caplog.records if record.name == "user.models"]
    assert [(record.levelname, record.getMessage()) for record in records] == [
        ("WARNING", "hello there"),
        ("ERROR", "trouble"),
    ]
    assert {(record.model, record.model_version) for record in records} == {("tells", "7")}  # type: ignore[attr-defined]
    assert "RuntimeError: inner" in str(records[1].exc_text)


# -- pools -----------------------------------------------------------------------------------------------------------


def test_which_models_share_a_pool() -> None:
    async def run() -> None:
        async with pool_manager(parallel_workers=1) as manager:
            kinds: dict[str, dict[str, Any]] = {
                "default": {},
                "default too": {"parallel_workers": 1},
                "gid a": {"parameters": {"inference_pool_gid": "a"}},
                "gid a too": {"parameters": {"inference_pool_gid": "a"}},
                "own": {"parameters": {"autogenerate_inference_pool_gid": True}},
                "own too": {"parameters": {"autogenerate_inference_pool_gid": True}},
                "two": {"parallel_workers": 2},
            }
            executors = {
                name: manager.executor(model_settings("Tells", name=name, **more)) for name, more in kinds.items()
            }
            await asyncio.gather(*(executor.load() for executor in executors.values()))
            assert sorted(len(pool.workers) for pool in manager.pools) == [1, 1, 1, 1, 2]
            told = {name: parameters_of(await ask(executor))["pid"] for name, executor in executors.items()}
            assert told["default"] == told["default too"]
            assert told["gid a"] == told["gid a too"]
            assert len(set(told.values())) == 5

            for name in ("gid a", "own", "two"):
                await executors[name].unload()
            assert sorted(pool.name for pool in manager.pools) == ["default", "gid a", "own 2"]
            for name in ("default", "default too", "gid a too"):
                await executors[name].unload()
            assert sorted(pool.name for pool in manager.pools) == ["default", "own 2"]
            assert len(manager.pools[0].workers) == 1, "the default pool stays"

    asyncio.run(run())


def test_environment_path_is_the_interpreter_and_says_what_it_lacks(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)

    async def run() -> None:
        async with pool_manager() as manager:
            bare = {"parameters": {"environment_path": str(tmp_path / "bare")}}
            with pytest.raises(ModelLoadError, match=r"bare/bin/python -m pip install oipserver=="):
                await manager.executor(model_settings("Tells", **bare)).load()
            missing = {"parameters": {"environment_path": str(tmp_path / "nothing")}}
            with pytest.raises(ModelLoadError, match="no bin/python"):
                await manager.executor(model_settings("Tells", **missing)).load()
            assert [pool.name for pool in manager.pools] == []

            site = next((tmp_path / "bare" / "lib").glob("python*/site-packages"))
            (site / "host.pth").write_text("\n".join(entry for entry in sys.path if entry))
            executor = manager.executor(model_settings("Tells", **bare))
            await executor.load()
            told = parameters_of(await ask(executor))
            assert Path(told["python"]) == tmp_path / "bare" / "bin" / "python"

    asyncio.run(run())


def test_an_environment_with_another_version_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys, oipserver.executor.pool.frames as frames; frames.PROTOCOL = 99; "
        "from oipserver.executor.pool.worker.main import main; sys.argv[1:] = sys.argv[-3:]; main()"
    )
    (tmp_path / "bin").mkdir()
    interpreter = tmp_path / "bin" / "python"
    interpreter.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    interpreter.chmod(0o755)

    async def run() -> None:
        async with pool_manager() as manager:
            settings = model_settings("Echo", parameters={"environment_path": str(tmp_path)})
            with pytest.raises(ModelLoadError, match=r"runs oipserver .*, this server is .*bin/python -m pip install"):
                await manager.executor(settings).load()

    asyncio.run(run())


# -- the end ---------------------------------------------------------------------------------------------------------


def test_close_lets_calls_finish_and_leaves_no_process_descriptor_or_segment(tmp_path: Path) -> None:
    async def life(gate: Path) -> None:
        async with pool_manager(parallel_workers=2, **KILL_ME) as manager:
            executor = manager.executor(model_settings("Blocks"))
            await executor.load()
            victim, other = manager.pools[0].workers
            os.kill(victim.pid, signal.SIGKILL)
            await until(lambda: not victim.alive and executor.slots == 2)
            call = asyncio.create_task(ask(executor, gate=str(gate)))
            await until(gate.with_suffix(".begun").exists)
            closing = asyncio.create_task(manager.close())
            await until(lambda: other.state in (WorkerState.DRAINING, WorkerState.STOPPED))
            gate.touch()  # noqa: ASYNC240
            assert outcome(await call) == "answered"
            await closing
            assert (victim.state, other.state) == (WorkerState.FAILED, WorkerState.STOPPED)

    async def run() -> None:
        await life(tmp_path / "first")  # what is made once only is there now
        gc.collect()
        before = descriptors(), os.listdir("/dev/shm"), children()
        await life(tmp_path / "second")
        gc.collect()
        assert (descriptors(), os.listdir("/dev/shm"), children()) == before

    asyncio.run(run())


def descriptors() -> Counter[str]:
    links = Counter[str]()
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            links[re.sub(r"\d+", "", os.readlink(path))] += 1
    return links


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_a_worker_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    async def run() -> None:
        async with pool_manager(parallel_workers_timeout=0.3) as manager:
            executor = manager.executor(model_settings("Blocks"))
            await executor.load()
            call = asyncio.create_task(ask(executor, gate=str(tmp_path / "gate")))
            await until((tmp_path / "gate.begun").exists)
            (worker,) = manager.pools[0].workers
            started = time.monotonic()
            await manager.close()
            assert time.monotonic() - started < 5
            assert worker.reason == "was killed because it did not stop within 0.3 s"
            assert isinstance(await call, (InternalError, UnavailableError))

    asyncio.run(run())


@pytest.mark.parametrize("how", ["SIGKILL", "exit"])
def test_workers_end_with_their_server(how: str, tmp_path: Path) -> None:
    """Also those that are stuck in a model that holds the interpreter lock."""
    script = tmp_path / "server.py"
    script.write_text(
        dedent(f"""
        import asyncio, os, sys
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        from tests.executor.support import model_settings, pids, pool_manager, request, until
        from pathlib import Path
        async def main():
            async with pool_manager(parallel_workers=2) as manager:
                executor = manager.executor(model_settings("Hangs"))
                await executor.load()
                path = Path({str(tmp_path / "begun")!r})
                asyncio.create_task(executor.execute(request(how="interpreter", path=str(path))))
                await until(path.exists)
                print(*pids(manager), flush=True)
                if {how!r} == "exit":
                    os._exit(0)
                await asyncio.sleep(60)
        asyncio.run(main())
        """)
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        workers = [int(pid) for pid in server.stdout.readline().split()]
        assert len(workers) == 2
        server.kill()
        server.wait()
    asyncio.run(until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers)))
