"""Triton's four Python clients against a server process: health, metadata, inference and mistakes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http as http_client
import tritonclient.http.aio as http_aio
from tritonclient.utils import InferenceServerException

from tests.support.models import write_identity_model
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

DATATYPES: dict[str, Any] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}
SHAPES = [(1,), (3, 4), (0,), (2, 0, 3), ()]
SYNC = {"http": http_client, "grpc": grpc_client}
ASYNC = {"http.aio": http_aio, "grpc.aio": grpc_aio}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, examples_folder: Path) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("models")
    for datatype in DATATYPES:
        for rank in {len(shape) + 1 for shape in SHAPES}:
            write_identity_model(root / f"identity-{datatype}-{rank}", datatype, rank)
    (root / "onnx-add").symlink_to(examples_folder / "onnx-add", target_is_directory=True)
    with ServerProcess(root) as process:
        yield process


@pytest.fixture(scope="module")
def examples_folder() -> Path:
    return Path(__file__).parents[2] / "examples"


def address(server: ServerProcess, wire: str) -> str:
    return server.http if wire.startswith("http") else server.grpc


def sample(datatype: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    count = int(np.prod(shape))
    if datatype == "BYTES":
        words = [b"", "é€".encode(), b"plain", b"\xf0\x9f\x98\x80"]
        array = np.empty(count, dtype=object)
        array[:] = [words[index % len(words)] for index in range(count)]
        return array.reshape(shape)
    return (np.arange(count) % 2).astype(DATATYPES[datatype]).reshape(shape)


@pytest.mark.parametrize("wire", SYNC)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_datatype_and_shape_comes_back(
    server: ServerProcess, wire: str, datatype: str, shape: tuple[int, ...]
) -> None:
    module = SYNC[wire]
    client = module.InferenceServerClient(address(server, wire))
    try:
        data = sample(datatype, (2, *shape))
        item = module.InferInput("x", list(data.shape), datatype)
        item.set_data_from_numpy(data)
        model = f"identity-{datatype}-{data.ndim}"
        result = client.infer(model, [item], request_id="42", model_version="")
        got = result.as_numpy("y")
        assert got is not None
        assert got.shape == data.shape
        assert got.tolist() == data.tolist()
        response = result.get_response()
        assert (response["id"] if wire == "http" else response.id) == "42"
    finally:
        client.close()


@pytest.mark.parametrize("wire", SYNC)
def test_health_and_metadata(server: ServerProcess, wire: str) -> None:
    module = SYNC[wire]
    client = module.InferenceServerClient(address(server, wire))
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("onnx-add")
        assert not client.is_model_ready("nope")
        options = {} if wire == "http" else {"as_json": True}
        about = client.get_server_metadata(**options)
        assert about["name"] == "oipserver"
        assert "binary_tensor_data" in about["extensions"]
        model = client.get_model_metadata("onnx-add", **options)
        assert model["platform"] == "onnxruntime_onnx"
        assert [tensor["name"] for tensor in model["inputs"]] == ["a", "b"]
        with pytest.raises(InferenceServerException, match="Request for unknown model"):
            client.get_model_metadata("wrong_model_name")
    finally:
        client.close()


@pytest.mark.parametrize("wire", SYNC)
def test_mistakes_are_the_clients(server: ServerProcess, wire: str) -> None:
    module = SYNC[wire]
    client = module.InferenceServerClient(address(server, wire))

    def infer(name: str, shape: list[int], datatype: str = "FP32", model: str = "onnx-add", count: int = 1) -> str:
        dtype = DATATYPES[datatype]
        items = []
        for index in range(count):
            item = module.InferInput(name if index == 0 else f"{name}{index}", shape, datatype)
            item.set_data_from_numpy(np.zeros(shape, dtype=dtype))
            items.append(item)
        with pytest.raises(InferenceServerException) as caught:
            client.infer(model, items)
        assert "INTERNAL" not in str(caught.value.status() or "")
        assert "500" not in str(caught.value.status() or "")
        return str(caught.value.message())

    try:
        assert "missing required input(s) ['b']" in infer("a", [1, 16])
        assert "'FP32'" in infer("a", [1, 16], "INT32")
        assert "unexpected inference input 'wrong'" in infer("wrong", [1, 16])
        shape_message = infer("a", [1, 8])
        assert "'a'" in shape_message
        assert "[1,8]" in shape_message
        assert "Request for unknown model: 'nope' is not found" in infer("a", [1, 16], model="nope")
    finally:
        client.close()


@pytest.mark.parametrize("wire", ASYNC)
def test_async_clients(server: ServerProcess, wire: str) -> None:
    async def scenario() -> None:
        module = ASYNC[wire]
        inputs_module = http_client if wire.startswith("http") else grpc_client
        client = module.InferenceServerClient(address(server, wire))
        try:
            assert await client.is_server_live()
            assert await client.is_model_ready("onnx-add")
            left = np.arange(32, dtype=np.float32).reshape(2, 16)
            right = np.ones_like(left)

            async def one() -> Any:
                items = []
                for name, data in (("a", left), ("b", right)):
                    item = inputs_module.InferInput(name, list(data.shape), "FP32")
                    item.set_data_from_numpy(data)
                    items.append(item)
                return await client.infer("onnx-add", items)

            for result in await asyncio.gather(*(one() for _ in range(20))):
                np.testing.assert_array_equal(result.as_numpy("sum"), left + right)
                np.testing.assert_array_equal(result.as_numpy("difference"), left - right)
        finally:
            await client.close()

    asyncio.run(scenario())


def test_the_server_and_triton_client_share_a_process() -> None:
    """Both describe messages of the same names: the server's live in a descriptor pool of their own."""
    import oipserver.wire.grpc  # noqa: F401

    message = grpc_client.service_pb2.ServerLiveRequest()
    assert message.SerializeToString() == b""
