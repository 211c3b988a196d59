"""Priorities, time-outs and full queues as a model's configuration wants them, through Triton's clients."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import onnx
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from onnx import TensorProto, helper, numpy_helper
from tritonclient.utils import InferenceServerException

from tests.support.models import IR_VERSION
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

CLIENTS: dict[str, Any] = {"http": http_client, "grpc": grpc_client}
REFUSED = ("503", "StatusCode.UNAVAILABLE")
SIDE, PRODUCTS = 700, 40  # some tenths of a second: others come while one runs


def write_slow_model(root: Path, name: str, batching: str) -> None:
    """y = x, and a while."""
    folder = root / name
    (folder / "1").mkdir(parents=True)
    nodes = [helper.make_node("MatMul", ["m0", "m"], ["p0"])]
    nodes += [helper.make_node("MatMul", [f"p{index}", "m"], [f"p{index + 1}"]) for index in range(PRODUCTS)]
    nodes += [
        helper.make_node("ReduceMax", [f"p{PRODUCTS}"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "zero"], ["nothing"]),
        helper.make_node("ReduceMax", ["x"], ["some"], keepdims=0),
        helper.make_node("Add", ["some", "zeros"], ["m0"]),
        helper.make_node("Add", ["x", "nothing"], ["y"]),
    ]
    nodes.insert(0, nodes.pop(-2))
    nodes.insert(0, nodes.pop(-2))
    constants = {
        "m": np.eye(SIDE, dtype=np.float32),
        "zeros": np.zeros((SIDE, SIDE), np.float32),
        "zero": np.array(0, np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "slow",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 1])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "1" / "model.onnx")
    (folder / "config.pbtxt").write_text(
        f'backend: "onnxruntime"\nmax_batch_size: 1\ninstance_group [ {{ count: 1 kind: KIND_CPU }} ]\n'
        f"dynamic_batching {{ {batching} }}\n"
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("policies")
    write_slow_model(root, "short_queue", "default_queue_policy { max_queue_size: 2 }")
    write_slow_model(root, "impatient", "default_queue_policy { default_timeout_microseconds: 1000 }")
    write_slow_model(root, "overridable", "default_queue_policy { allow_timeout_override: true }")
    write_slow_model(root, "patient", "")
    write_slow_model(root, "priorities", "priority_levels: 3 default_priority_level: 2")
    with ServerProcess(root) as process:
        yield process


@pytest.fixture(params=sorted(CLIENTS))
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def ask(server: ServerProcess, wire: str, model: str, value: float, together: Barrier, **more: Any) -> float:
    module = CLIENTS[wire]
    tensor = module.InferInput("x", [1, 1], "FP32")
    tensor.set_data_from_numpy(np.full((1, 1), value, np.float32))
    with module.InferenceServerClient(server.http if wire == "http" else server.grpc) as client:
        client.is_server_live()  # connected
        together.wait(30)
        return float(client.infer(model, [tensor], **more).as_numpy("y")[0, 0])


def outcomes(server: ServerProcess, wire: str, model: str, count: int, **more: Any) -> tuple[int, list[Exception]]:
    """Of ``count`` requests at once: how many were answered, and the errors of the others."""

    together = Barrier(count)

    def one(value: int) -> Exception | None:
        try:
            assert ask(server, wire, model, value, together, **more) == value
        except InferenceServerException as error:
            return error
        return None

    with ThreadPoolExecutor(count) as pool:
        errors = [error for error in pool.map(one, range(count)) if error is not None]
    return count - len(errors), errors


def test_a_full_queue_of_the_models_own(server: ServerProcess, wire: str) -> None:
    answered, errors = outcomes(server, wire, "short_queue", 8)
    assert answered >= 3
    assert errors
    for error in errors:
        assert error.status() in REFUSED
        assert "Exceeds maximum queue size" in error.message()


def test_a_timeout_in_the_queue(server: ServerProcess, wire: str) -> None:
    answered, errors = outcomes(server, wire, "impatient", 4)
    assert answered >= 1
    assert errors
    for error in errors:
        assert error.status() in REFUSED
        assert "Request timeout expired" in error.message()


def test_a_timeout_of_the_request(server: ServerProcess, wire: str) -> None:
    answered, errors = outcomes(server, wire, "overridable", 4, timeout=1000)
    assert answered >= 1
    assert errors
    assert all("Request timeout expired" in error.message() for error in errors)


def test_a_timeout_of_the_request_that_the_model_does_not_allow(server: ServerProcess, wire: str) -> None:
    assert outcomes(server, wire, "patient", 3, timeout=1000) == (3, [])


def test_the_first_priority_is_served_first(server: ServerProcess) -> None:
    done: queue.Queue[str] = queue.Queue()
    tensor = grpc_client.InferInput("x", [1, 1], "FP32")
    tensor.set_data_from_numpy(np.ones((1, 1), np.float32))
    with grpc_client.InferenceServerClient(server.grpc) as client:

        def send(name: str, **more: Any) -> None:
            client.async_infer(
                "priorities", [tensor], lambda result, error: done.put(str(error) if error else name), **more
            )

        for _ in range(3):
            send("running")
        assert done.get(timeout=60) == "running"  # now another one runs, and holds up all that come
        for name, priority in (("last", 3), ("default", 0), ("beyond", 9), ("first", 1)):
            send(name, priority=priority)
        order = [name for _ in range(6) if (name := done.get(timeout=60)) != "running"]
    assert (order[0], set(order[1:3]), order[3]) == ("first", {"default", "beyond"}, "last")
