"""Sequences as Triton's own examples drive them, on both wires and over streams, and what is said to their mistakes."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from tritonclient.utils import InferenceServerException

from tests.conformance.sequence.sequence_models import write_accumulator, write_sequence_model
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

CLIENTS: dict[str, Any] = {"http": http_client, "grpc": grpc_client}
VALUES = [11, 7, 5, 3, 2, 0, 1]
SHORT_IDLE = "max_sequence_idle_microseconds: 200000"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("sequences")
    write_sequence_model(root)
    write_accumulator(root, "simple_dyna_sequence")
    write_accumulator(root, "simple_string_dyna_sequence", text=True)
    write_accumulator(root, "short_idle", more=SHORT_IDLE)
    write_accumulator(root, "narrow", strategy="oldest { max_candidate_sequences: 1 }", more=SHORT_IDLE)
    (root / "from_file" / "initial_state").mkdir(parents=True)
    (root / "from_file" / "initial_state" / "start").write_bytes(np.int32(1000).tobytes())
    initial = 'initial_state: { name: "start" data_type: TYPE_INT32 dims: [ 1 ] data_file: "start" }'
    write_accumulator(root, "from_file", initial=initial)
    with ServerProcess(root) as process:
        yield process


@pytest.fixture(params=sorted(CLIENTS))
def client(server: ServerProcess, request: pytest.FixtureRequest) -> Iterator[Any]:
    module = CLIENTS[request.param]
    address = server.http if request.param == "http" else server.grpc
    with module.InferenceServerClient(address) as found:
        found.module, found.address = module, address
        yield found


def value(module: Any, number: int, rows: int = 1) -> list[Any]:
    tensor = module.InferInput("INPUT", [rows, 1], "INT32")
    tensor.set_data_from_numpy(np.full((rows, 1), number, np.int32))
    return [tensor]


def ask(client: Any, model: str, number: int, **mark: Any) -> int:
    answer = client.infer(model, value(client.module, number), **mark)
    return int(answer.as_numpy("OUTPUT").reshape(()))


def walk(client: Any, model: str, values: list[int], correlation: int | str) -> list[int]:
    last = len(values) - 1
    return [
        ask(client, model, number, sequence_id=correlation, sequence_start=index == 0, sequence_end=index == last)
        for index, number in enumerate(values)
    ]


def sums(values: list[int], correlation: int = 0) -> list[int]:
    found = np.cumsum(values).tolist()
    found[-1] += correlation
    return list(found)


def refused(client: Any, model: str, **mark: Any) -> str:
    with pytest.raises(InferenceServerException) as caught:
        ask(client, model, 1, **mark)
    assert caught.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")
    return str(caught.value.message())


def test_the_extension_is_announced(client: Any) -> None:
    metadata = client.get_server_metadata()
    extensions = metadata["extensions"] if isinstance(metadata, dict) else list(metadata.extensions)
    assert {"sequence", "sequence(string_id)", "schedule_policy"} <= set(extensions)


def test_controls_tell_the_start(client: Any) -> None:
    assert walk(client, "simple_sequence", VALUES, 1001) == [12, *VALUES[1:]]


def test_implicit_state_accumulates_and_the_id_is_a_control(client: Any) -> None:
    assert walk(client, "simple_dyna_sequence", VALUES, 1002) == sums(VALUES, 1002)
    assert walk(client, "simple_string_dyna_sequence", VALUES, "1003") == sums(VALUES, 1003)


def test_the_first_state_comes_from_a_file(client: Any) -> None:
    assert walk(client, "from_file", [1, 2, 3], 4) == [1001, 1003, 1010]


def test_two_sequences_take_turns(client: Any) -> None:
    negative = [-number for number in VALUES]
    one, other = [], []
    for index, (mine, theirs) in enumerate(zip(VALUES, negative, strict=True)):
        flags = {"sequence_start": index == 0, "sequence_end": index == len(VALUES) - 1}
        one.append(ask(client, "simple_dyna_sequence", mine, sequence_id=7, **flags))
        other.append(ask(client, "simple_dyna_sequence", theirs, sequence_id=8, **flags))
    assert one == sums(VALUES, 7)
    assert other == sums(negative, 8)


def test_a_start_begins_a_live_sequence_anew(client: Any) -> None:
    model = "simple_dyna_sequence"
    assert ask(client, model, 5, sequence_id=21, sequence_start=True) == 5
    assert ask(client, model, 5, sequence_id=21) == 10
    assert ask(client, model, 1, sequence_id=21, sequence_start=True) == 1
    assert ask(client, model, 1, sequence_id=21, sequence_end=True) == 2 + 21


def test_one_request_may_be_a_sequence(client: Any) -> None:
    assert ask(client, "simple_dyna_sequence", 5, sequence_id=22, sequence_start=True, sequence_end=True) == 27


def test_the_largest_id(client: Any) -> None:
    largest = 2**63 - 1 if client.module is grpc_client else 2**64 - 1
    assert ask(client, "simple_sequence", 5, sequence_id=largest, sequence_start=True, sequence_end=True) == 6


def test_controls_and_states_are_no_clients_business(client: Any) -> None:
    metadata = client.get_model_metadata("simple_dyna_sequence")
    sides = (
        (metadata["inputs"], metadata["outputs"]) if isinstance(metadata, dict) else (metadata.inputs, metadata.outputs)
    )
    names = [[tensor["name"] if isinstance(tensor, dict) else tensor.name for tensor in side] for side in sides]
    assert names == [["INPUT"], ["OUTPUT"]]
    answer = client.infer(
        "simple_dyna_sequence", value(client.module, 1), sequence_id=23, sequence_start=True, sequence_end=True
    )
    assert answer.as_numpy("STATE_OUT") is None
    module = client.module
    extra = module.InferInput("STATE_IN", [1, 1], "INT32")
    extra.set_data_from_numpy(np.zeros((1, 1), np.int32))
    with pytest.raises(InferenceServerException, match=r"unexpected inference input 'STATE_IN'|expected 1 inputs"):
        client.infer("simple_dyna_sequence", [*value(module, 1), extra], sequence_id=24, sequence_start=True)


@pytest.mark.parametrize("model", ["simple_sequence", "simple_dyna_sequence", "simple_string_dyna_sequence"])
def test_a_request_without_a_sequence(client: Any, model: str) -> None:
    text = f"inference request to model '{model}' must specify a non-zero or non-empty correlation ID"
    assert text in refused(client, model)


def test_a_sequence_that_was_never_started(client: Any) -> None:
    text = (
        "inference request for sequence 77 to model 'simple_sequence' must specify the START flag on the first request "
        "of the sequence"
    )
    assert text in refused(client, "simple_sequence", sequence_id=77)
    assert "must specify the START flag" in refused(client, "simple_sequence", sequence_id=77, sequence_end=True)
    walk(client, "simple_sequence", [1, 2], 77)
    assert text in refused(client, "simple_sequence", sequence_id=77)


def test_more_than_one_row(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="must specify batch-size 1 due to requirements of sequence"):
        client.infer("simple_sequence", value(client.module, 1, rows=2), sequence_id=30, sequence_start=True)


def test_an_id_of_the_wrong_kind(client: Any) -> None:
    assert "must be a number, got a text" in refused(
        client, "simple_dyna_sequence", sequence_id="abc", sequence_start=True
    )
    assert "must be a text, got a number" in refused(
        client, "simple_string_dyna_sequence", sequence_id=5, sequence_start=True
    )
    assert "at most 128 bytes" in refused(
        client, "simple_string_dyna_sequence", sequence_id="1" * 129, sequence_start=True
    )


def test_an_idle_sequence_is_over(client: Any) -> None:
    started = ask(client, "short_idle", 1, sequence_id=31, sequence_start=True)
    deadline_passed = "must specify the START flag"
    assert started == 1
    time.sleep(0.3)
    assert deadline_passed in refused(client, "short_idle", sequence_id=31)


def test_a_sequence_in_the_backlog_waits_for_a_slot(client: Any) -> None:
    assert ask(client, "narrow", 1, sequence_id=41, sequence_start=True) == 1
    with ThreadPoolExecutor(1) as pool, client.module.InferenceServerClient(client.address) as second:
        second.module = client.module
        waiting = pool.submit(ask, second, "narrow", 5, sequence_id=42, sequence_start=True, sequence_end=True)
        assert ask(client, "narrow", 1, sequence_id=41, sequence_end=True) == 43
        assert waiting.result() == 47


def test_streams_interleave_two_sequences(server: ServerProcess) -> None:
    answers: queue.Queue[Any] = queue.Queue()
    negative = [-number for number in VALUES]
    with grpc_client.InferenceServerClient(server.grpc) as client:
        client.start_stream(lambda result, error: answers.put(error or result))
        for index, pair in enumerate(zip(VALUES, negative, strict=True)):
            for correlation, number in zip(("51", "52"), pair, strict=True):
                client.async_stream_infer(
                    "simple_string_dyna_sequence",
                    value(grpc_client, number),
                    request_id=f"{correlation}_{index}",
                    sequence_id=correlation,
                    sequence_start=index == 0,
                    sequence_end=index == len(VALUES) - 1,
                )
        got: dict[str, list[int]] = {"51": [], "52": []}
        for _ in range(2 * len(VALUES)):
            result = answers.get(timeout=30)
            assert not isinstance(result, Exception), result
            correlation = result.get_response().id.split("_")[0]
            got[correlation].append(int(result.as_numpy("OUTPUT").reshape(())))
        client.stop_stream()
    assert got == {"51": sums(VALUES, 51), "52": sums(negative, 52)}


def test_many_clients_with_a_sequence_each(server: ServerProcess) -> None:
    def one(correlation: int) -> tuple[list[int], list[int]]:
        values = [correlation % 7 + index for index in range(20)]
        with grpc_client.InferenceServerClient(server.grpc) as client:
            client.module = grpc_client
            return walk(client, "simple_dyna_sequence", values, correlation), sums(values, correlation)

    with ThreadPoolExecutor(8) as pool:
        for got, expected in pool.map(one, range(100, 116)):
            assert got == expected
