"""An ONNX file run by Triton's Python backend; runs inside Triton, which copies it to each model as model.py."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Runs what Triton batched together as one batch."""

    def initialize(self, args: dict[str, Any]) -> None:
        """Load the ONNX file the configuration names."""
        config = json.loads(args["model_config"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = config["parameters"]["file"]["string_value"]
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request with its rows of the result."""
        rows = [pb_utils.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        result = self._session.run(["y"], {"x": rows[0] if len(rows) == 1 else np.concatenate(rows)})[0]
        parts = np.split(result, np.cumsum([len(part) for part in rows])[:-1])
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", part)]) for part in parts]
