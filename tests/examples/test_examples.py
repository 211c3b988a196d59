"""Every example is served as its README says, and answers its request with what it promises, on both wires."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from tritonclient.utils import triton_to_np_dtype

from tests.conftest import EXAMPLES
from tests.support.server_process import ServerProcess

FOLDERS = sorted(path.parent for path in EXAMPLES.glob("*/expected.json"))


def load(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def as_array(tensor: dict[str, Any]) -> np.ndarray[Any, Any]:
    if tensor["datatype"] == "BYTES":
        flat = np.array([text.encode() for text in np.array(tensor["data"], dtype=object).ravel()], dtype=object)
        return flat.reshape(tensor["shape"])
    dtype = triton_to_np_dtype(tensor["datatype"])
    assert dtype is not None
    return np.array(tensor["data"], dtype=dtype).reshape(tensor["shape"])


def assert_equal(got: np.ndarray[Any, Any], tensor: dict[str, Any]) -> None:
    wanted = as_array(tensor)
    assert list(got.shape) == tensor["shape"]
    if wanted.dtype.kind == "f":
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
    else:
        assert got.tolist() == wanted.tolist()


def test_there_are_examples() -> None:
    assert {folder.name for folder in FOLDERS} >= {"onnx-add", "digits", "text"}


@pytest.mark.process
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
class TestExample:
    def test_rest_json(self, folder: Path, examples_server: ServerProcess) -> None:
        expected = load(folder, "expected.json")
        answer = examples_server.infer(expected["model_name"], load(folder, "request.json"))
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["model_name"] == expected["model_name"]
        assert [tensor["name"] for tensor in body["outputs"]] == [tensor["name"] for tensor in expected["outputs"]]
        for got, wanted in zip(body["outputs"], expected["outputs"], strict=True):
            assert got["datatype"] == wanted["datatype"]
            assert_equal(as_array(got), wanted)

    @pytest.mark.parametrize("client_module", [http_client, grpc_client], ids=["http", "grpc"])
    def test_triton_client(self, folder: Path, client_module: Any, examples_server: ServerProcess) -> None:
        expected, request = load(folder, "expected.json"), load(folder, "request.json")
        address = examples_server.http if client_module is http_client else examples_server.grpc
        client = client_module.InferenceServerClient(address)
        try:
            inputs = []
            for tensor in request["inputs"]:
                item = client_module.InferInput(tensor["name"], tensor["shape"], tensor["datatype"])
                item.set_data_from_numpy(as_array(tensor))
                inputs.append(item)
            result = client.infer(expected["model_name"], inputs)
            for wanted in expected["outputs"]:
                got = result.as_numpy(wanted["name"])
                assert got is not None
                assert_equal(got, wanted)
        finally:
            client.close()

    def test_readme_says_how(self, folder: Path, examples_server: ServerProcess) -> None:
        assert f"oipserver start examples/{folder.name}" in (folder / "README.md").read_text()


@pytest.mark.process
def test_digits_accuracy_through_the_server_is_the_training_frameworks(examples_server: ServerProcess) -> None:
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    facts = load(EXAMPLES / "digits", "accuracy.json")
    held_out = facts["held_out_indices"]
    digits = load_digits()
    images = (digits.images[held_out] / 16.0).astype(np.float32)[:, None]
    client = http_client.InferenceServerClient(examples_server.http)
    try:
        item = http_client.InferInput("image", list(images.shape), "FP32")
        item.set_data_from_numpy(images)
        scores = client.infer("digits", [item]).as_numpy("probabilities")
    finally:
        client.close()
    predicted = scores.argmax(axis=1)
    assert predicted.tolist() == facts["predictions"]
    assert float((predicted == digits.target[held_out]).mean()) == pytest.approx(facts["accuracy"], abs=1e-9)
    assert facts["accuracy"] > 0.97
