"""Sequences of a model that keeps its state in itself: Triton's Python backend in workers and in-process, and a model
written for this server, from model-settings.json."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
from tritonclient.utils import InferenceServerException

from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

TRITON = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.sums = {}

    def execute(self, requests):
        return [self.answer(request, len(requests)) for request in requests]

    def answer(self, request, together):
        correlation = request.correlation_id()
        start, ready, end = [
            pb_utils.get_input_tensor_by_name(request, name).as_numpy()[0, 0] for name in ("START", "READY", "END")
        ]
        assert ready and [bool(start), bool(end)] == [bool(request.flags() & flag) for flag in (1, 2)]
        total = (0 if start else self.sums[correlation]) + pb_utils.get_input_tensor_by_name(request, "X").as_numpy()
        self.sums[correlation] = total
        if end:
            del self.sums[correlation]
        many = np.array([[together, len(self.sums)]], np.int32)
        return pb_utils.InferenceResponse([pb_utils.Tensor("Y", total), pb_utils.Tensor("N", many)])
"""
OWN = """
import numpy as np
from oipserver import MLModel, Tensor


class Sums(MLModel):
    async def load(self):
        self.sums = {}
        return True

    def infer_tensors(self, inputs, outputs, parameters):
        given = {tensor.name: tensor.array for tensor in inputs}
        rows = zip(given["ID"][:, 0], given["START"][:, 0], given["X"], strict=True)
        for correlation, start, x in rows:
            self.sums[int(correlation)] = x + (0 if start else self.sums[int(correlation)])
        total = np.stack([self.sums[int(correlation)] for correlation in given["ID"][:, 0]])
        many = np.array([[len(total), len(self.sums)]] * len(total), np.int32)
        return [Tensor.from_array("Y", total), Tensor.from_array("N", many)]
"""
CONTROLS = [
    {"name": name, "control": [{"kind": f"CONTROL_SEQUENCE_{name}", "int32_false_true": [0, 1]}]}
    for name in ("START", "READY", "END")
]
CORRELATION = {"name": "ID", "control": [{"kind": "CONTROL_SEQUENCE_CORRID", "data_type": "TYPE_INT32"}]}
CONFIGURATION = {
    "max_batch_size": 4,
    "input": [{"name": "X", "data_type": "TYPE_INT32", "dims": [1]}],
    "output": [
        {"name": "Y", "data_type": "TYPE_INT32", "dims": [1]},
        {"name": "N", "data_type": "TYPE_INT32", "dims": [2]},
    ],
    "instance_group": [{"count": 2, "kind": "KIND_CPU"}],
    "sequence_batching": {"oldest": {"max_candidate_sequences": 8}, "control_input": CONTROLS},
}


def write_models(root: Path) -> None:
    (root / "sums" / "1").mkdir(parents=True)
    (root / "sums" / "1" / "model.py").write_text(TRITON)
    (root / "sums" / "config.pbtxt").write_text(
        """backend: "python"
max_batch_size: 4
input [ { name: "X" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "Y" data_type: TYPE_INT32 dims: [ 1 ] }, { name: "N" data_type: TYPE_INT32 dims: [ 2 ] } ]
instance_group [ { count: 2 kind: KIND_CPU } ]
sequence_batching {
  oldest { max_candidate_sequences: 8 }
  control_input [
    { name: "START" control [ { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } ] },
    { name: "READY" control [ { kind: CONTROL_SEQUENCE_READY int32_false_true: [ 0, 1 ] } ] },
    { name: "END" control [ { kind: CONTROL_SEQUENCE_END int32_false_true: [ 0, 1 ] } ] }
  ]
}
"""
    )
    (root / "own").mkdir()
    (root / "own" / "sums_model.py").write_text(OWN)
    sequences = {"oldest": {"max_candidate_sequences": 8}, "control_input": [*CONTROLS[:1], CORRELATION]}
    settings = {
        "name": "own",
        "implementation": "sums_model.Sums",
        "configuration": {**CONFIGURATION, "sequence_batching": sequences},
    }
    (root / "own" / "model-settings.json").write_text(json.dumps(settings))


@pytest.fixture(scope="module", params=["workers", "in-process"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("sums")
    write_models(root)
    with ServerProcess(root, "--parallel-workers", "2" if request.param == "workers" else "0") as process:
        yield process


def walk(server: ServerProcess, model: str, correlation: int, count: int) -> tuple[list[int], int, int]:
    """The sums of one sequence; the most requests that ran together, and the most sequences the model knew at once."""
    sums, together, known = [], 1, 1
    with grpc_client.InferenceServerClient(server.grpc) as client:
        for index in range(count):
            tensor = grpc_client.InferInput("X", [1, 1], "INT32")
            tensor.set_data_from_numpy(np.full((1, 1), correlation + index, np.int32))
            mark: dict[str, Any] = {"sequence_start": index == 0, "sequence_end": index == count - 1}
            answer = client.infer(model, [tensor], sequence_id=correlation, **mark)
            sums.append(int(answer.as_numpy("Y")[0, 0]))
            many = answer.as_numpy("N")[0]
            together, known = max(together, int(many[0])), max(known, int(many[1]))
    return sums, together, known


@pytest.mark.parametrize("model", ["sums", "own"])
def test_every_request_of_a_sequence_finds_what_the_last_one_left(server: ServerProcess, model: str) -> None:
    count, sequences = 25, range(1, 7)
    with ThreadPoolExecutor(len(sequences)) as pool:
        found = list(pool.map(lambda correlation: walk(server, model, correlation, count), sequences))
    for correlation, (sums, _, _) in zip(sequences, found, strict=True):
        assert sums == np.cumsum(np.arange(count) + correlation).tolist()
    assert max(together for _, together, _ in found) > 1
    assert max(known for _, _, known in found) > 1  # one place for all, however many workers there are


def children(pid: int) -> list[int]:
    """The processes that ``pid`` started."""
    return [int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]


def ask(client: Any, value: int, **mark: Any) -> int:
    tensor = grpc_client.InferInput("X", [1, 1], "INT32")
    tensor.set_data_from_numpy(np.full((1, 1), value, np.int32))
    return int(client.infer("sums", [tensor], **mark).as_numpy("Y")[0, 0])


def test_a_sequence_ends_with_the_worker_that_knew_it(tmp_path: Path) -> None:
    write_models(tmp_path)
    with ServerProcess(tmp_path) as server, grpc_client.InferenceServerClient(server.grpc) as client:
        assert ask(client, 5, sequence_id=1, sequence_start=True) == 5
        for worker in children(server.pid):
            os.kill(worker, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while True:
            try:
                ask(client, 5, sequence_id=1)
            except InferenceServerException as error:
                told = str(error.message())
            else:
                raise AssertionError("a sequence went on that no worker knows")
            if "not available" not in told and "was killed" not in told:
                break
            assert time.monotonic() < deadline, told
            time.sleep(0.05)
        assert "must specify the START flag" in told
        assert ask(client, 7, sequence_id=1, sequence_start=True, sequence_end=True) == 7
