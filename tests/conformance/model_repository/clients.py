"""Both of Triton's blocking clients behind one face, and small models to load, change and upload."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from onnx import TensorProto, helper

from tests.support.server_process import ServerProcess

WIRES = ("http", "grpc")
CONFIG = 'backend: "onnxruntime"\n'


def adder(number: float, columns: int = 2) -> bytes:
    """An ONNX model: output y is input x, rows of ``columns`` FP32, plus ``number``."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "number"], ["y"])],
        "adder",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", columns])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", columns])],
        [helper.make_tensor("number", TensorProto.FLOAT, [1], [number])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content


def write_model(folder: Path, number: float, version: str = "1", config: str | None = CONFIG) -> None:
    """A model in Triton's layout; a file that is there already is replaced in one step."""
    (folder / version).mkdir(parents=True, exist_ok=True)
    replace(folder / version / "model.onnx", adder(number))
    if config is not None:
        replace(folder / "config.pbtxt", config.encode())


def write_mlserver_model(folder: Path, number: float) -> None:
    """The same in MLServer's layout."""
    folder.mkdir(parents=True, exist_ok=True)
    replace(folder / "weights.onnx", adder(number))
    settings = f'{{"name": "{folder.name}", "implementation": "onnx", "parameters": {{"uri": "weights.onnx"}}}}'
    replace(folder / "model-settings.json", settings.encode())


def replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    os.replace(fresh, path)


class Client:
    """One of the two clients; ``client`` has what needs no translation."""

    def __init__(self, wire: str, server: ServerProcess) -> None:
        self.wire = wire
        self.module = http_client if wire == "http" else grpc_client
        address = server.http if wire == "http" else server.grpc
        self.client: Any = self.module.InferenceServerClient(address)

    def added(self, model: str, version: str = "") -> float:
        """The number that a model adds."""
        tensor = self.module.InferInput("x", [1, 2], "FP32")
        tensor.set_data_from_numpy(np.zeros((1, 2), np.float32))
        return float(self.client.infer(model, [tensor], version).as_numpy("y")[0, 0])

    def index(self) -> list[dict[str, str]]:
        """Rows of the index, members without a value left out."""
        rows = self.client.get_model_repository_index()
        if self.wire == "grpc":
            rows = [
                {"name": row.name, "version": row.version, "state": row.state, "reason": row.reason}
                for row in rows.models
            ]
        return [{key: value for key, value in row.items() if value} for row in rows]

    def rows(self, name: str) -> list[dict[str, str]]:
        return [row for row in self.index() if row["name"] == name]

    def max_batch_size(self, model: str) -> int:
        if self.wire == "http":
            return int(self.client.get_model_config(model)["max_batch_size"])
        return int(self.client.get_model_config(model).config.max_batch_size)
