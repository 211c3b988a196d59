"""Runs the warm-up requests of a model's configuration, before anybody else's; makes none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic_ns

from ..configuration import Configuration, warmup_requests
from ..errors import ModelLoadError, OIPError
from ..executor import Executor
from ..protocol import InferRequest
from ..scheduler import Scheduler
from .checks import InputCheck

# Each run is done by so many at once, so that every worker and every instance has its share.
_MOST_AT_ONCE = 16


async def warm_up(
    configuration: Configuration, folder: Path, check: InputCheck, executor: Executor, scheduler: Scheduler
) -> None:
    """Run every sample of ``model_warmup``; data files are below ``folder``. Sequences go through the ``scheduler``,
    which gives them what their model wants. Raises ModelLoadError naming the sample that failed, and why."""
    for sample, request, count in warmup_requests(configuration, folder):
        try:
            check(request)
            for _ in range(count):
                await _run(configuration, request, executor, scheduler)
        except OIPError as error:
            raise ModelLoadError(
                f"model '{configuration['name']}': warm-up '{sample}' failed: {error.message}"
            ) from error


async def _run(configuration: Configuration, request: InferRequest, executor: Executor, scheduler: Scheduler) -> None:
    if "sequence_batching" in configuration:
        await scheduler.submit(request, monotonic_ns())
    elif configuration.get("model_transaction_policy", {}).get("decoupled"):
        await _drain(executor, request)
    else:
        at_once = max(1, min(executor.slots, _MOST_AT_ONCE))
        await asyncio.gather(*(executor.execute(request) for _ in range(at_once)))


async def _drain(executor: Executor, request: InferRequest) -> None:
    async for _ in executor.stream(request):
        pass
