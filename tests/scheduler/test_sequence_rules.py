"""What a request may say of its sequence, and what a configuration may say of sequences."""

from __future__ import annotations

from typing import Any

import pytest

from oipserver.errors import InvalidArgumentError, ModelLoadError
from oipserver.scheduler.sequences import sequence_rules
from oipserver.settings import ModelSettings
from tests.scheduler.sequenced import STATE, corrid, echoed, part, scheduler
from tests.scheduler.virtual import ScriptedExecutor, VirtualTimeLoop, error_of, request, run


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "must specify a non-zero or non-empty correlation ID"),
        ({"sequence_id": ""}, "must specify a non-zero or non-empty correlation ID"),
        ({"sequence_id": 1.5}, "invalid value type for 'sequence_id' parameter"),
        ({"sequence_id": True}, "invalid value type for 'sequence_id' parameter"),
        ({"sequence_id": 2**64}, "does not fit into 64 bits"),
        ({"sequence_id": 1, "sequence_start": 1}, "invalid value type for 'sequence_start' parameter, expected bool"),
        ({"sequence_id": 1, "sequence_end": "yes"}, "invalid value type for 'sequence_end' parameter, expected bool"),
    ],
)
def test_parameters_that_mark_no_sequence(parameters: dict[str, Any], said: str) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        made = scheduler(loop, ScriptedExecutor())
        error = await error_of(made.submit(request(1, parameters=parameters), loop.clock()))
        assert isinstance(error, InvalidArgumentError)
        assert said in error.message
        await made.close()

    run(main)


def test_the_upper_half_of_the_ids_is_negative_in_grpc() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        executor = ScriptedExecutor(answer=echoed)
        made = scheduler(loop, executor, control_input=[corrid("TYPE_UINT64")])
        await made.submit(part(1, -1, start=True), loop.clock())
        await made.submit(part(1, 2**64 - 1, end=True), loop.clock())
        assert executor.runs[1].request.inputs[1].array.tolist() == [[2**64 - 1]]
        await made.close()

    run(main)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"control_input": [{"name": "a", "control": []}]}, "exactly one 'control'"),
        ({"control_input": [{"name": "a", "control": [{"kind": "CONTROL_SEQUENCE_END"}]}]}, "exactly one of int32_"),
        ({"control_input": [corrid("TYPE_FP32")]}, "a correlation ID must be of"),
        ({"control_input": [corrid("TYPE_WHAT")]}, "no datatype"),
        ({"state": [{**STATE, "data_type": ""}]}, "no datatype"),
        ({"state": [{**STATE, "initial_state": [{"data_type": "TYPE_FP32", "dims": [2], "zero_data": True}]}]}, "[2]"),
        (
            {"state": [{**STATE, "initial_state": [{"data_type": "TYPE_FP32", "dims": [1], "data_file": "../x"}]}]},
            "leads out",
        ),
        (
            {"state": [{**STATE, "initial_state": [{"data_type": "TYPE_FP32", "dims": [1], "data_file": "x"}]}]},
            "'initial_state/x' cannot be read",
        ),
        ({"iterative_sequence": True}, "iterative_sequence is not supported"),
    ],
)
def test_configurations_that_cannot_be(declared: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelLoadError) as caught:
        sequence_rules(ModelSettings(name="m", configuration={"sequence_batching": declared}))
    assert said in caught.value.message
    assert "'m'" in caught.value.message
