"""Models written for Triton's Python backend answer Triton's clients on both wires."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conformance.wires import MISTAKE, Wire
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

FAILED = {"http": "500", "grpc": "StatusCode.INTERNAL"}


def pair(wire: Wire, rows: int = 1) -> list[Any]:
    left = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
    return [wire.input("INPUT0", left), wire.input("INPUT1", np.ones_like(left))]


def number(wire: Wire, value: int, *, batched: bool = False) -> list[Any]:
    return [wire.input("IN", np.array([[value]] if batched else [value], np.int32))]


def test_add_sub(asking: Wire) -> None:
    result = asking.infer("add_sub", pair(asking, 3))
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), np.arange(12, dtype=np.float32).reshape(3, 4) + 1)
    np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), np.arange(12, dtype=np.float32).reshape(3, 4) - 1)


def test_only_outputs_that_are_asked_for(asking: Wire) -> None:
    result = asking.infer("add_sub", pair(asking), outputs=[asking.output("OUTPUT1")])
    assert result.as_numpy("OUTPUT0") is None
    assert result.as_numpy("OUTPUT1").tolist() == [[-1, 0, 1, 2]]


@pytest.mark.parametrize("binary", [True, False])
def test_strings(asking: Wire, binary: bool) -> None:
    texts = np.array([b"", "Grüße".encode(), b"x" * 1000], dtype=object)
    result = asking.infer("strings", [asking.input("INPUT", texts, binary=binary)])
    assert result.as_numpy("OUTPUT").tolist() == texts.tolist()
    assert result.as_numpy("LENGTHS").tolist() == [0, 7, 1000]


def test_large_tensors_of_any_bytes(asking: Wire) -> None:
    texts = np.array([bytes(range(256)) * 400], dtype=object)
    result = asking.infer("strings", [asking.input("INPUT", texts)])
    assert result.as_numpy("OUTPUT").tolist() == texts.tolist()


def test_wrong_inputs_never_reach_the_model(asking: Wire) -> None:
    wrong = [asking.input(name, np.zeros((1, 4), np.float64)) for name in ("INPUT0", "INPUT1")]
    status, message = asking.mistake("add_sub", wrong)
    assert status == MISTAKE[asking.kind]
    assert "'INPUT0' data-type is 'FP64'" in message


def test_what_a_model_is_told(asking: Wire) -> None:
    result = asking.infer(
        "facts", number(asking, 1), request_id="r-7", outputs=[asking.output("FACTS")], parameters={"tone": "warm"}
    )
    facts = json.loads(result.as_numpy("FACTS")[0])
    told = facts.pop("parameters")
    assert told["tone"] == "warm"
    assert facts == {
        "colour": "blue",
        "name": "facts",
        "version": "1",
        "kind": "CPU",
        "id": "r-7",
        "correlation": 0,
        "flags": 0,
        "outputs": ["FACTS"],
        "ready": [True, False],
    }
    assert result.as_numpy("REST") is None
    facts = json.loads(asking.infer("facts", number(asking, 1)).as_numpy("FACTS")[0])
    assert facts["outputs"] == ["FACTS", "REST"]


def test_parameters_of_an_answer(asking: Wire) -> None:
    response = asking.infer("facts", number(asking, 1)).get_response()
    if asking.kind == "http":
        assert response["parameters"]["told"] is True
        assert response["parameters"]["weight"] == 1.5
    else:
        assert response.parameters["told"].bool_param is True
        assert response.parameters["weight"].double_param == 1.5


def test_a_configuration_completed_by_the_model(asking: Wire) -> None:
    if asking.kind == "http":
        config = asking.client.get_model_config("completed")
        metadata = asking.client.get_model_metadata("completed")
    else:
        config = asking.client.get_model_config("completed", as_json=True)["config"]
        metadata = asking.client.get_model_metadata("completed", as_json=True)
    assert config["max_batch_size"] == 4
    assert "dynamic_batching" in config
    assert [int(dim) for dim in metadata["inputs"][0]["shape"]] == [-1, 2]
    rows = np.ones((3, 2), np.float32)
    assert asking.infer("completed", [asking.input("IN", rows)]).as_numpy("OUT").tolist() == rows.tolist()
    status, _ = asking.mistake("completed", [asking.input("IN", np.ones((5, 2), np.float32))])
    assert status == MISTAKE[asking.kind]


def together(wire: Wire, *values: int) -> list[Any]:
    """The outcomes of requests sent at once: a number and how many went together, or the error's message."""
    outcomes: list[Any] = [None] * len(values)

    def ask(index: int) -> None:
        own = Wire(wire.kind, wire.server)
        try:
            result = own.infer("picky", number(own, values[index], batched=True), request_id=f"r{index}")
            outcomes[index] = (int(result.as_numpy("OUT")[0, 0]), int(result.as_numpy("TOGETHER")[0, 0]))
        except Exception as error:
            outcomes[index] = str(error)
        finally:
            own.close()

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(values))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_one_of_several_requests_fails_alone(asking: Wire) -> None:
    for _ in range(10):  # until some have met
        outcomes = together(asking, 1, 2, 13, 4)
        assert "r2 brings bad luck" in outcomes[2]
        answers = [outcomes[index] for index in (0, 1, 3)]
        assert [answer[0] for answer in answers] == [2, 3, 5]
        if max(answer[1] for answer in answers) > 1:
            break
    else:
        raise AssertionError("the model never was given several requests at once")


def test_answers_that_are_fewer_than_the_requests(asking: Wire) -> None:
    status, message = asking.mistake("picky", number(asking, 99, batched=True))
    assert status == FAILED[asking.kind]
    assert "InferenceRequest(s) size is:1, and InferenceResponse(s) size is:0" in message
    outcomes = together(asking, 1, 2, 99, 4)
    assert [outcome[0] for outcome in (outcomes[0], outcomes[1], outcomes[3])] == [2, 3, 5]
    assert "InferenceResponse(s) size is:0" in outcomes[2]


def test_a_model_calls_another(asking: Wire) -> None:
    ask = [asking.input("MODEL", np.array([b"add_sub"], dtype=object))]
    ask += [asking.input(name, np.arange(4, dtype=np.float32)) for name in ("INPUT0", "INPUT1")]
    result = asking.infer("bls_sync", ask)
    assert result.as_numpy("OUTPUT0").tolist() == [0, 2, 4, 6]
    assert result.as_numpy("OUTPUT1").tolist() == [0, 0, 0, 0]


def test_a_model_calls_another_several_times_at_once(asking: Wire) -> None:
    ask = [asking.input("MODEL", np.array([b"add_sub"], dtype=object))]
    ask += [asking.input(name, np.arange(4, dtype=np.float32)) for name in ("INPUT0", "INPUT1")]
    result = asking.infer("bls_async", ask)
    assert result.as_numpy("SUMS").tolist() == [[0, 2, 4, 6], [1, 3, 5, 7], [2, 4, 6, 8]]


def test_errors_of_a_model_that_was_called(asking: Wire) -> None:
    ask = [asking.input("MODEL", np.array([b"nobody"], dtype=object))]
    ask += [asking.input(name, np.arange(4, dtype=np.float32)) for name in ("INPUT0", "INPUT1")]
    status, message = asking.mistake("bls_sync", ask)
    assert status == FAILED[asking.kind]
    assert "'nobody' is not found" in message
    status, message = asking.mistake("bls_async", ask)
    assert status == {"http": "404", "grpc": "StatusCode.NOT_FOUND"}[asking.kind]
    assert "'nobody' is not found" in message


def test_a_model_reads_all_responses_of_a_decoupled_one(asking: Wire) -> None:
    assert asking.infer("bls_square", number(asking, 12)).as_numpy("OUT").tolist() == [144]
    assert asking.infer("bls_square", number(asking, 0)).as_numpy("OUT").tolist() == [0]
    status, message = asking.mistake("bls_square", number(asking, -1))
    assert status == MISTAKE[asking.kind]
    assert "negative numbers have no end" in message


def test_models_that_call_each_other_in_a_circle(asking: Wire) -> None:
    status, message = asking.mistake("circle_a", number(asking, 1))
    assert status == FAILED[asking.kind]
    assert "circle_a/1 -> circle_b/1 -> circle_a/1" in message


def test_its_metrics_and_log_lines_are_the_servers(asking: Wire) -> None:
    asking.infer("facts", number(asking, 1))
    page = httpx.get(f"http://{asking.server.metrics}/metrics").text
    (line,) = [line for line in page.splitlines() if line.startswith("facts_told{")]
    assert 'colour="blue"' in line
    assert float(line.split()[-1]) >= 2
    asking.server.wait_for_output("facts are ready")


def wait_until_ready(wire: Wire, model: str) -> None:
    deadline = time.monotonic() + 20
    while not wire.client.is_model_ready(model):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_process_that_dies_in_execute(asking: Wire) -> None:
    if "workers" not in asking.server.output.split("crash")[1].splitlines()[0].replace("1 worker", "workers"):
        pytest.skip("the process would be the server's")
    wait_until_ready(asking, "crash")
    status, message = asking.mistake("crash", number(asking, 0))
    assert status == FAILED[asking.kind]
    assert "two workers died executing this request" in message
    wait_until_ready(asking, "crash")
    assert asking.infer("crash", number(asking, 5)).as_numpy("OUT").tolist() == [5]


def test_instances_are_processes(python_server: ServerProcess) -> None:
    row = python_server.output.split("\nadd_sub")[1].splitlines()[0]
    assert "2 workers" in row or "in-process" in row
