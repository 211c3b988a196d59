"""Ensembles beside other extensions: a last step that answers in pieces, shared memory, classes, another layout."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
import tritonclient.utils.shared_memory as shm
from tritonclient.utils import InferenceServerException

from tests.conformance.ensemble.ensemble_models import CHAIN, write_ensemble, write_step_model
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

ROW = np.array([[1, 4, 3, 2]], np.float32)
REPEAT = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            values = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            for value in values[0]:
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("y", np.array([[value] * 4], np.float32))]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("beyond")
    for kind in ("double", "increment", "negate"):
        write_step_model(root, kind)
    write_ensemble(root, "chain", CHAIN)
    (root / "repeat" / "1").mkdir(parents=True)
    (root / "repeat" / "1" / "model.py").write_text(REPEAT)
    (root / "repeat" / "config.pbtxt").write_text(
        'backend: "python"\nmax_batch_size: 8\n'
        'input [ { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } ]\n'
        'output [ { name: "y" data_type: TYPE_FP32 dims: [ 4 ] } ]\n'
        "model_transaction_policy { decoupled: true }\n"
    )
    pieces = [("double", {"x": "IN"}, {"y": "doubled"}), ("repeat", {"x": "doubled"}, {"y": "OUT"})]
    write_ensemble(root, "pieces", pieces, outputs=("OUT", "doubled"))
    write_own_layout(root)
    with ServerProcess(root) as process:
        yield process


def write_own_layout(root: Path) -> None:
    """The chain as ``model-settings.json``."""
    ends = {
        side: [{"name": name, "data_type": "TYPE_FP32", "dims": ["4"]}]
        for side, name in (("input", "IN"), ("output", "OUT"))
    }
    steps = [
        {"model_name": model, "model_version": "-1", "input_map": taken, "output_map": given}
        for model, taken, given in CHAIN
    ]
    configuration = {"platform": "ensemble", "max_batch_size": 8, **ends, "ensemble_scheduling": {"step": steps}}
    (root / "by-settings").mkdir()
    settings = {"name": "by-settings", "implementation": "ensemble", "configuration": configuration}
    (root / "by-settings" / "model-settings.json").write_text(json.dumps(settings))


def given(module: Any) -> Any:
    tensor = module.InferInput("IN", [1, 4], "FP32")
    tensor.set_data_from_numpy(ROW)
    return tensor


def test_a_last_step_that_answers_in_pieces(server: ServerProcess) -> None:
    came: queue.Queue[Any] = queue.Queue()
    with grpc_client.InferenceServerClient(server.grpc) as client:
        client.start_stream(lambda result, error: came.put(error or result))
        client.async_stream_infer("pieces", [given(grpc_client)], request_id="p", enable_empty_final_response=True)
        answers = [came.get(timeout=20) for _ in range(5)]
        client.stop_stream()
    assert not any(isinstance(answer, Exception) for answer in answers), answers
    for answer, value in zip(answers[:4], (2, 8, 6, 4), strict=True):
        np.testing.assert_array_equal(answer.as_numpy("OUT"), np.full((1, 4), value, np.float32))
        np.testing.assert_array_equal(answer.as_numpy("doubled"), ROW * 2)
    last = answers[4].get_response()
    assert (last.id, list(last.outputs)) == ("p", [])


@pytest.mark.parametrize("module", [http_client, grpc_client], ids=["http", "grpc"])
def test_who_wants_one_answer_of_pieces_is_refused(server: ServerProcess, module: Any) -> None:
    with module.InferenceServerClient(server.http if module is http_client else server.grpc) as client:
        with pytest.raises(InferenceServerException, match="decoupled transaction policy") as caught:
            client.infer("pieces", [given(module)])
        assert caught.value.status() in ("501", "StatusCode.UNIMPLEMENTED")


@pytest.mark.parametrize("module", [http_client, grpc_client], ids=["http", "grpc"])
@pytest.mark.parametrize("model", ["chain", "by-settings"])
def test_shared_memory_and_classes(server: ServerProcess, module: Any, model: str) -> None:
    with module.InferenceServerClient(server.http if module is http_client else server.grpc) as client:
        region = shm.create_shared_memory_region("region", f"/beyond_{module.__name__.split('.')[-1]}_{model}", 32)
        try:
            shm.set_shared_memory_region(region, [ROW])
            client.register_system_shared_memory("region", f"/beyond_{module.__name__.split('.')[-1]}_{model}", 32)
            tensor = module.InferInput("IN", [1, 4], "FP32")
            tensor.set_shared_memory("region", 16)
            wanted = module.InferRequestedOutput("OUT")
            wanted.set_shared_memory("region", 16, offset=16)
            client.infer(model, [tensor], outputs=[wanted])
            found = shm.get_contents_as_numpy(region, np.float32, [1, 4], offset=16)
            np.testing.assert_array_equal(found, -(ROW * 2 + 1))
        finally:
            client.unregister_system_shared_memory()
            shm.destroy_shared_memory_region(region)
        asked = module.InferRequestedOutput("OUT", class_count=2)
        classes = client.infer(model, [given(module)], outputs=[asked]).as_numpy("OUT")
        assert [text.decode() for text in classes.reshape(-1)] == ["-3.000000:0", "-5.000000:3"]
