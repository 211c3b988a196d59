"""A mosec server for one of the benchmarks' models, speaking V2 JSON; runs in mosec's own environment.

Reads its model from the environment: MODEL (a file, or "busy"), WORKERS, MAX_BATCH_SIZE, MAX_WAIT_MS; mosec itself
reads MOSEC_PORT and friends.
"""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
import onnxruntime
import orjson
from mosec import Server, Worker

MODEL = os.environ["MODEL"]
MAX_BATCH_SIZE = int(os.environ["MAX_BATCH_SIZE"])


class JsonWorker(Worker):
    """Parses V2 JSON requests and writes V2 JSON answers."""

    def deserialize(self, data: bytes) -> np.ndarray:
        """The one input of a request."""
        tensor = orjson.loads(data)["inputs"][0]
        return np.array(tensor["data"], np.float32).reshape(tensor["shape"])

    def serialize(self, data: np.ndarray) -> bytes:
        """An answer with the one output."""
        output = {"name": "y", "datatype": "FP32", "shape": data.shape, "data": data.ravel()}
        return orjson.dumps({"model_name": "m", "outputs": [output]}, option=orjson.OPT_SERIALIZE_NUMPY)


class OnnxWorker(JsonWorker):
    """Runs the ONNX file on one thread."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])

    def forward(self, data: Any) -> Any:
        """Run one row, or, when batching, a list of rows."""
        if MAX_BATCH_SIZE == 1:
            return self._session.run(["y"], {"x": data})[0]
        sizes = [len(rows) for rows in data]
        result = self._session.run(["y"], {"x": np.concatenate(data)})[0]
        return np.split(result, np.cumsum(sizes)[:-1])


class BusyWorker(JsonWorker):
    """Holds the interpreter lock for two milliseconds of CPU time, then answers with its input."""

    def forward(self, data: np.ndarray) -> np.ndarray:
        """Spin."""
        end = time.thread_time_ns() + 2_000_000
        while time.thread_time_ns() < end:
            pass
        return data


if __name__ == "__main__":
    server = Server()
    server.append_worker(
        BusyWorker if MODEL == "busy" else OnnxWorker,
        num=int(os.environ["WORKERS"]),
        max_batch_size=MAX_BATCH_SIZE,
        max_wait_time=int(os.environ["MAX_WAIT_MS"]),
    )
    server.run()
