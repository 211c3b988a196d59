"""Requests from the server's side of the pool to a worker and back, without any wire; a process of its own.

Arguments: seconds of each measurement, then sizes of tensors in floats. Prints JSON: ``trips``, the median milliseconds
of a round trip of each size, one at a time; ``here_us`` and ``worker_us``, CPU microseconds per request of 16 floats of
either process with 32 in flight.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import uvloop

from harness.process import tree
from oipserver.executor import Executor
from oipserver.executor.pool import PoolManager
from oipserver.protocol import InferRequest
from oipserver.settings import ModelSettings, Settings
from oipserver.tensor import Tensor

_PEERS = Path(__file__).resolve().parents[1] / "peers"
_IN_FLIGHT = 32


def request(floats: int) -> InferRequest:
    """A request with one FP32 tensor."""
    return InferRequest("echo", [Tensor.from_array("x", np.ones(floats, np.float32))])


async def trip_ms(executor: Executor, floats: int, seconds: float) -> float:
    """Median milliseconds of a round trip, one at a time; the answer is looked at, as a wire would."""
    sent = request(floats)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        began = time.perf_counter()
        response = await executor.execute(sent)
        size = len(memoryview(response.outputs[0].raw).cast("B"))
        times.append((time.perf_counter() - began) * 1e3)
        if size != floats * 4:
            raise ValueError(f"{floats * 4} bytes were sent and {size} came back")
    return statistics.median(times[1:])


async def small_us(executor: Executor, seconds: float) -> tuple[float, float]:
    """CPU microseconds per small request: of this process, and of all its children."""
    done = 0

    async def client() -> None:
        nonlocal done
        sent = request(16)
        while time.perf_counter() < end:
            await executor.execute(sent)
            done += 1

    own = os.getpid()
    before, end = tree_cpu(), time.perf_counter() + seconds
    await asyncio.gather(*(client() for _ in range(_IN_FLIGHT)))
    used = {pid: cpu - before.get(pid, 0.0) for pid, cpu in tree_cpu().items()}
    return used[own] / done, (sum(used.values()) - used[own]) / done


def tree_cpu() -> dict[int, float]:
    """CPU microseconds of this process and of each of its descendants."""
    return {pid: stat.cpu_us for pid, stat in tree(os.getpid(), with_session=False).items()}


async def main() -> None:
    """Measure, print."""
    seconds, *sizes = map(float, sys.argv[1:])
    manager = PoolManager(Settings(parallel_workers=1))
    settings = ModelSettings(name="echo", implementation="oipserver_models.EchoModel")
    settings._source = str(_PEERS / "model-settings.json")
    executor = manager.executor(settings)
    try:
        await executor.load()
        trips = [await trip_ms(executor, int(floats), seconds) for floats in sizes]
        here, worker = await small_us(executor, seconds)
        print(json.dumps({"trips": trips, "here_us": here, "worker_us": worker}))
        await executor.unload()
    finally:
        await manager.close()


if __name__ == "__main__":
    uvloop.run(main())
