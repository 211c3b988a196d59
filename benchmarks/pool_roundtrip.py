"""What does a trip to a worker and back cost, by size of tensor, alone and with 32 in flight, on either side?

Prints one line per size: median and 99th percentile of a lone round trip, then microseconds of processor time per
request of the server's process and of the worker, and the elapsed time per request with 32 in flight. Nothing but the
executor is between: no wire, no scheduler. The model gives its input back.

    python benchmarks/pool_roundtrip.py [seconds per line]
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import uvloop

from oipserver.executor import Executor
from oipserver.executor.pool import PoolManager
from oipserver.protocol import InferRequest
from oipserver.settings import ModelSettings, Settings
from oipserver.tensor import Tensor

SIZES = {"64 B": 64, "4 KB": 4 << 10, "16 KB": 16 << 10, "64 KB": 64 << 10, "1 MB": 1 << 20, "16 MB": 16 << 20}
IN_FLIGHT = 32
MODEL = """
from oipserver import MLModel
class Echo(MLModel):
    def infer_tensors(self, inputs, outputs, parameters):
        return [tensor.renamed("y") for tensor in inputs]
"""


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def alone(executor: Executor, request: InferRequest, seconds: float) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        response = await executor.execute(request)
        times.append(time.perf_counter() - start)
        del response
    return times


async def together(executor: Executor, request: InferRequest, seconds: float) -> int:
    end = time.perf_counter() + seconds

    async def one() -> int:
        count = 0
        while time.perf_counter() < end:
            await executor.execute(request)
            count += 1
        return count

    return sum(await asyncio.gather(*(one() for _ in range(IN_FLIGHT))))


def echo(folder: str) -> ModelSettings:
    Path(folder, "model.py").write_text(MODEL)
    settings = ModelSettings(name="echo", implementation="model.Echo")
    settings._source = str(Path(folder, "model-settings.json"))
    return settings


async def measure(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        manager = PoolManager(Settings(parallel_workers=1))
        executor = manager.executor(echo(folder))
        await executor.load()
        worker = manager.pools[0].workers[0].pid
        print("           alone, us         32 in flight, us a request")
        print("         median    p99          here  worker elapsed")
        for name, size in SIZES.items():
            request = InferRequest("echo", [Tensor.from_array("x", np.ones(size // 4, np.float32))])
            await alone(executor, request, seconds / 10)
            times = sorted(await alone(executor, request, seconds))
            median, late = statistics.median(times) * 1e6, times[len(times) * 99 // 100] * 1e6
            before = time.process_time(), cpu_seconds(worker), time.perf_counter()
            count = await together(executor, request, seconds)
            after = time.process_time(), cpu_seconds(worker), time.perf_counter()
            here, there, elapsed = ((end - start) / count * 1e6 for start, end in zip(before, after, strict=True))
            print(f"{name:>6} {median:8.0f} {late:8.0f} {here:12.1f} {there:7.1f} {elapsed:7.1f}")
        await executor.unload()
        await manager.close()


if __name__ == "__main__":
    uvloop.run(measure(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0))
