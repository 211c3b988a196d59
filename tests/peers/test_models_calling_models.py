"""Models that call other models, in workers and in the server's process: answers, errors, streams, and the end."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc_client
from tritonclient.utils import InferenceServerException

from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

MODELS = {"double": "Double", "front": "Front", "hand": "Hand", "parts": "Parts", "collect": "Collect"}
MODELS |= {"slow": "Slow", "impatient": "Impatient", "loop": "Hand"}
MODELS |= {f"chain-{number}": "Chain" for number in range(1, 19)}


def write(root: Path) -> Path:
    for name, kind in MODELS.items():
        folder = root / name
        folder.mkdir()
        settings: dict[str, Any] = {"name": name, "implementation": f"pipeline_models.{kind}"}
        if name == "double":
            settings["max_batch_size"] = 16
        (folder / "model-settings.json").write_text(json.dumps(settings))
        shutil.copy(Path(__file__).with_name("pipeline_models.py"), folder)
    return root


@pytest.fixture(scope="module", params=["workers", "in-process"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One worker for all models: whoever calls and who is called share it."""
    workers = "1" if request.param == "workers" else "0"
    with ServerProcess(write(tmp_path_factory.mktemp("models")), "--parallel-workers", workers) as process:
        yield process


def body(*values: float, datatype: str = "FP32", **parameters: Any) -> dict[str, Any]:
    tensor = {"name": "x", "shape": [len(values)], "datatype": datatype, "data": list(values)}
    return {"inputs": [tensor], **({"parameters": parameters} if parameters else {})}


def outputs(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {output["name"]: output["data"] for output in answer.json()["outputs"]}


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


def test_two_calls_side_by_side(server: ServerProcess) -> None:
    assert outputs(server.infer("front", body(1, 2))) == {"y": [6, 10]}


def test_tensors_too_large_for_a_frame(server: ServerProcess) -> None:
    values = [float(number) for number in range(30_000)]
    assert outputs(server.infer("front", body(*values)))["y"] == [4 * value + 2 for value in values]


def test_a_request_handed_on(server: ServerProcess) -> None:
    assert outputs(server.infer("hand", body(1, 2)))["y"] == [2, 4]


def test_errors_come_back_as_they_are(server: ServerProcess) -> None:
    assert error(server.infer("hand", body(-1))) == (500, "model 'double' takes no negative numbers")
    assert error(server.infer("hand", body(1, to="nobody"))) == (
        404,
        "Request for unknown model: 'nobody' is not found",
    )


def test_nobody_calls_himself(server: ServerProcess) -> None:
    status, message = error(server.infer("loop", body(1, to="loop")))
    assert status == 500
    assert message == "models must not call each other in a circle: loop -> loop"


def test_a_chain_has_an_end(server: ServerProcess) -> None:
    assert outputs(server.infer("chain-5", body(1))) == {"path": [13]}
    status, message = error(server.infer("chain-1", body(1)))
    assert status == 500
    assert message.startswith("models call each other more than 16 deep: chain-1 -> chain-2")


def test_all_parts_of_a_stream_and_some(server: ServerProcess) -> None:
    assert outputs(server.infer("collect", body(10)))["parts"] == list(range(10))
    assert outputs(server.infer("collect", body(5000)))["parts"] == [0, 1, 2]


def test_many_callers_and_one_worker(server: ServerProcess) -> None:
    with httpx.Client(timeout=60) as client:
        for _ in range(100):
            answer = client.post(server.url("/v2/models/front/infer"), json=body(3))
            assert outputs(answer) == {"y": [14]}


def slow_file(server: ServerProcess, name: str) -> Path:
    root = Path(server.root)
    return root / "slow" / name


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 15
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.02)
    path.unlink()


def test_who_is_called_learns_that_nobody_waits(server: ServerProcess) -> None:
    status, message = error(server.infer("impatient", body(1, within=0.3)))
    assert (status, "deadline exceeded" in message) == (504, True), message
    wait_for(slow_file(server, "began"))
    wait_for(slow_file(server, "given-up"))


def test_the_callers_deadline_is_that_of_its_calls(server: ServerProcess) -> None:
    client = grpc_client.InferenceServerClient(server.grpc)
    item = grpc_client.InferInput("x", [1], "FP32")
    item.set_data_from_numpy(np.ones(1, np.float32))
    with pytest.raises(InferenceServerException, match=r"Deadline Exceeded|deadline exceeded"):
        client.infer("impatient", [item], client_timeout=0.5)
    client.close()
    wait_for(slow_file(server, "began"))
    wait_for(slow_file(server, "given-up"))


def test_a_client_that_leaves_ends_the_whole_chain(server: ServerProcess) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(server.url("/v2/models/impatient/infer"), json=body(1), timeout=0.5)
    wait_for(slow_file(server, "began"))
    wait_for(slow_file(server, "given-up"))
