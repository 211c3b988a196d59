"""Shared memory through workers, batches and streams; regions that are let go of while they are used."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from tests.conformance.shared_memory.shared import Shared
from tests.conformance.wires import WIRES, Wire
from tests.support.models import write_identity_model
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process
MODEL = '''
import asyncio
import time
from pathlib import Path

from oipserver import MLModel, Tensor


class Twice(MLModel):
    """Its input times two, in a worker."""

    placement = "pool"

    def infer_tensors(self, inputs, outputs, parameters):
        return [Tensor.from_array("y", inputs[0].array * 2)]


class Gated(MLModel):
    """Its input as it is, once the file that its parameter names is there."""

    placement = "in-process"

    async def predict(self, payload):
        gate = Path(payload.parameters.gate)
        (gate.parent / "entered").touch()
        while not gate.exists():
            await asyncio.sleep(0.01)
        response = self.encode_response(self.decode(payload.inputs[0]))
        response.outputs[0].name = "y"
        return response


class Counting(MLModel):
    """Its input as an answer, and again plus one."""

    placement = "in-process"

    async def predict_stream(self, payloads):
        async for payload in payloads:
            data = self.decode(payload.inputs[0])
            for step in range(2):
                response = self.encode_response(data + step)
                response.outputs[0].name = "y"
                yield response
'''


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("models")
    tensors = {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4], "parameters": {"content_type": "np"}}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}],
    }
    for name, kind, more in (
        ("twice", "Twice", {"max_batch_size": 8, "max_batch_time": 0.05}),
        ("gated", "Gated", {}),
        ("counting", "Counting", {}),
    ):
        (root / name).mkdir()
        told = {"name": name, "implementation": f"shm_models.{kind}", **tensors, **more}
        (root / name / "model-settings.json").write_text(json.dumps(told))
        (root / name / "shm_models.py").write_text(MODEL)
    write_identity_model(root / "large", "FP32", 2)
    with ServerProcess(root, "--parallel-workers", "1") as process:
        yield process


@pytest.fixture(params=WIRES)
def connected(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[Wire]:
    opened = Wire(request.param, server)
    yield opened
    opened.close()


def rows(number: int, count: int = 1) -> np.ndarray[Any, Any]:
    return np.full((count, 4), number, np.float32)


@pytest.mark.parametrize("count", [1, 5000])
def test_a_worker_reads_and_its_answer_is_written(connected: Wire, count: int) -> None:
    size = 16 * count
    region = Shared(connected, 2 * size)
    try:
        for number in range(3):
            inputs = [region.input("x", rows(number, count))]
            connected.infer("twice", inputs, outputs=[region.output("y", size, size)])
            assert (region.get(np.float32, (count, 4), size) == 2 * number).all()
    finally:
        region.close()


def test_requests_that_run_as_one_batch_have_their_own_answers(connected: Wire) -> None:
    region = Shared(connected, 32 * 16)

    def ask(number: int) -> float:
        wire = Wire(connected.kind, connected.server)
        try:
            mine = region.reference("x", (1, 4), "FP32", 16, number * 16)
            for _ in range(5):
                wire.infer("twice", [mine], outputs=[region.output("y", 16, (16 + number) * 16)])
            return float(region.get(np.float32, (4,), (16 + number) * 16)[3])
        finally:
            wire.close()

    try:
        for number in range(16):
            region.put(rows(number), number * 16)
        with ThreadPoolExecutor(16) as threads:
            assert list(threads.map(ask, range(16))) == [2.0 * number for number in range(16)]
    finally:
        region.close()


def test_unregistering_waits_for_the_last_request(connected: Wire, tmp_path: Path) -> None:
    """The region stays, and stays listed, until the request that uses it is answered."""
    gate = tmp_path / "gate"
    region = Shared(connected, 32)

    def names() -> list[str]:
        told = connected.client.get_system_shared_memory_status()
        return [item["name"] for item in told] if connected.kind == "http" else list(told.regions)

    def ask() -> None:
        wire = Wire(connected.kind, connected.server)
        try:
            inputs, outputs = [region.input("x", rows(7))], [region.output("y", 16, 16)]
            wire.infer("gated", inputs, outputs=outputs, parameters={"gate": str(gate)})
        finally:
            wire.close()

    try:
        with ThreadPoolExecutor(1) as threads:
            asked = threads.submit(ask)
            while not (tmp_path / "entered").exists():
                assert not asked.done(), asked.result()
            connected.client.unregister_system_shared_memory(region.name)
            assert region.name in names()
            with pytest.raises(InferenceServerException, match="already in manager"):
                connected.client.register_system_shared_memory(region.name, region.key, 32)
            gate.touch()
            asked.result()
        assert (region.get(np.float32, (1, 4), 16) == 7).all()
        assert region.name not in names()
    finally:
        region.close()


def test_a_caller_who_leaves_holds_no_region(server: ServerProcess, tmp_path: Path) -> None:
    wire = Wire("grpc", server)
    region = Shared(wire, 32)
    gate = tmp_path / "gate"
    answers: Queue[Any] = Queue()
    try:
        call = wire.client.async_infer(
            "gated",
            [region.input("x", rows(7))],
            lambda result, error: answers.put(error),
            outputs=[region.output("y", 16, 16)],
            parameters={"gate": str(gate)},
        )
        while not (tmp_path / "entered").exists():
            assert answers.empty(), answers.get()
        call.cancel()
        assert "CANCELLED" in str(answers.get(timeout=20))
        wire.client.unregister_system_shared_memory()
        deadline = time.monotonic() + 20
        while wire.client.get_system_shared_memory_status().regions:
            assert time.monotonic() < deadline
    finally:
        gate.touch()
        region.close()
        wire.close()


@pytest.mark.parametrize(("model", "expected"), [("twice", [8.0]), ("counting", [4.0, 5.0])])
def test_streams(server: ServerProcess, model: str, expected: list[float]) -> None:
    wire = Wire("grpc", server)
    region = Shared(wire, 32)
    answers: Queue[Any] = Queue()

    def answered(result: Any, error: Any) -> None:
        answers.put(error or (result.get_output("y").parameters["shared_memory_region"].string_param, result))

    try:
        wire.client.start_stream(answered)
        wire.client.async_stream_infer(model, [region.input("x", rows(4))], outputs=[region.output("y", 16, 16)])
        for _ in expected:
            name, result = answers.get(timeout=20)
            assert name == region.name
            assert list(result.get_response().raw_output_contents) == [b""]
        assert region.get(np.float32, (1, 4), 16)[0, 0] == expected[-1]
        wire.client.stop_stream()
    finally:
        region.close()
        wire.close()


def test_a_large_tensor_goes_through(connected: Wire) -> None:
    data = np.random.default_rng(0).random((1000, 1000), np.float32)
    region = Shared(connected, 2 * data.nbytes)
    try:
        for _ in range(3):
            connected.infer("large", [region.input("x", data)], outputs=[region.output("y", data.nbytes, data.nbytes)])
            assert (region.get(np.float32, data.shape, data.nbytes) == data).all()
    finally:
        region.close()


def test_switched_off(tmp_path: Path, serve: Any) -> None:
    write_identity_model(tmp_path / "identity", "FP32", 1)
    server = serve(tmp_path, "--allow-client-shm=false")
    for kind in WIRES:
        wire = Wire(kind, server)
        wire.client.unregister_system_shared_memory()
        with pytest.raises(InferenceServerException, match="Client shared memory is disabled") as caught:
            wire.client.register_system_shared_memory("r", "/r", 4)
        assert caught.value.status() in ("501", "StatusCode.UNIMPLEMENTED")
        placed = wire.module.InferInput("x", [1], "FP32")
        placed.set_shared_memory("r", 4)
        assert "Start the server with '--allow-client-shm=true'" in wire.mistake("identity", [placed])[1]
        told = wire.client.get_server_metadata()
        extensions = told["extensions"] if kind == "http" else told.extensions
        assert not {"system_shared_memory", "cuda_shared_memory"} & set(extensions)
        wire.close()
