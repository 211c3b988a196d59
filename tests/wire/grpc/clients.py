"""What the tests of the gRPC wire ask with."""

from __future__ import annotations

from typing import Any

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import np_to_triton_dtype

from oipserver.pb import inference_pb2 as pb


def tensor(name: str, array: np.ndarray[Any, Any], datatype: str | None = None) -> triton.InferInput:
    made = triton.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
    made.set_data_from_numpy(array)
    return made


PAIR = [tensor("a", np.full((1, 16), 2, np.float32)), tensor("b", np.full((1, 16), 3, np.float32))]


def infer_message(model: str, **fields: Any) -> pb.ModelInferRequest:
    """A request with one BYTES element, which any of the models takes."""
    contents = pb.InferTensorContents(bytes_contents=[b"x"])
    message = pb.ModelInferRequest(model_name=model, **fields)
    message.inputs.add(name="x", datatype="BYTES", shape=[1], contents=contents)
    return message
