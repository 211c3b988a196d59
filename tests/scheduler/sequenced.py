"""A sequence scheduler on virtual time, and requests for it."""

from __future__ import annotations

import asyncio
from typing import Any

from oipserver.protocol import InferRequest, InferResponse, Timings
from oipserver.scheduler.batching import BatchScheduler
from oipserver.scheduler.configured import configured
from oipserver.scheduler.direct import DirectScheduler
from oipserver.scheduler.policy import BatchPolicy
from oipserver.scheduler.sequences import SequenceScheduler, sequence_rules
from oipserver.settings import ModelSettings
from oipserver.telemetry.statistics import ModelStatistics
from oipserver.tensor import Tensor
from tests.scheduler.virtual import ScriptedExecutor, VirtualTimeLoop, face, request, rows

STATE = {"input_name": "s", "output_name": "t", "data_type": "TYPE_FP32", "dims": [1]}
START = {
    "name": "start",
    "control": [{"kind": "CONTROL_SEQUENCE_START", "fp32_false_true": [0.0, 1.0]}],
}
READY = {"name": "ready", "control": [{"kind": "CONTROL_SEQUENCE_READY", "bool_false_true": [False, True]}]}
END = {"name": "end", "control": [{"kind": "CONTROL_SEQUENCE_END", "int32_false_true": ["0", "1"]}]}


def corrid(data_type: str) -> dict[str, Any]:
    return {"name": "id", "control": [{"kind": "CONTROL_SEQUENCE_CORRID", "data_type": data_type}]}


def scheduler(
    loop: VirtualTimeLoop, executor: ScriptedExecutor, *, size: int = 8, queue: int = 100, **declared: Any
) -> SequenceScheduler:
    """Of a model "m" with ``declared`` in its sequence_batching, loaded."""
    configuration = {
        "max_batch_size": size,
        "output": [{"name": "y"}],
        "sequence_batching": declared,
    }
    rules = sequence_rules(ModelSettings(name="m", configuration=configuration))
    assert rules is not None
    policy = configured(BatchPolicy(max_queue_size=queue), configuration)
    kind = BatchScheduler if size > 1 else DirectScheduler
    inner = kind("m", executor, ModelStatistics(), policy, loop.clock)
    made = SequenceScheduler("m", inner, executor, rules, policy, loop.clock)
    made.loaded(face(-1, 1))
    executor.changed = made.slots_changed
    return made


def part(value: float, sequence: int | str, *, start: bool = False, end: bool = False, **more: Any) -> InferRequest:
    parameters = {"sequence_id": sequence, "sequence_start": start, "sequence_end": end, **more.pop("parameters", {})}
    return request(value, parameters=parameters, **more)


def accumulate(given: InferRequest) -> InferResponse:
    """t = y = s + x, as the graph of a model with state would."""
    tensors = {tensor.name: tensor.array for tensor in given.inputs}
    total = tensors["s"] + tensors["x"]
    outputs = [Tensor.from_array("y", total), Tensor.from_array("t", total)]
    return InferResponse("m", outputs, timings=Timings(infer_start=1, infer_end=2))


async def submit(made: SequenceScheduler, loop: VirtualTimeLoop, given: InferRequest) -> list[float]:
    answer = await made.submit(given, loop.clock())
    assert [tensor.name for tensor in answer.outputs] == ["y"]
    return rows(answer)


def task(made: SequenceScheduler, loop: VirtualTimeLoop, given: InferRequest) -> asyncio.Task[InferResponse]:
    return loop.create_task(made.submit(given, loop.clock()))


def echoed(given: InferRequest) -> InferResponse:
    """The first input as y."""
    outputs = [Tensor.from_array("y", given.inputs[0].array)]
    return InferResponse("m", outputs, timings=Timings(infer_start=1, infer_end=2))
