"""The requests that are sent: each as arrays, as bytes of every wire, and with the answer it must get."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
from tritonclient.grpc import service_pb2

from .models import MLP_WIDTHS, TINY_WIDTH

Arrays = dict[str, np.ndarray]
HEADER_LENGTH = "Inference-Header-Content-Length"


@dataclass(slots=True)
class Payload:
    """One request as it goes over a wire: a REST body with its headers, or an unframed gRPC message."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    grpc: bool = False


@dataclass(slots=True)
class Case:
    """A request to ``model`` with FP32 ``inputs``, and the ``expected`` outputs."""

    model: str
    inputs: Arrays
    expected: Arrays

    def json(self) -> Payload:
        """The request as V2 JSON with flat data."""
        tensors = [{**_head(name, x), "data": x.ravel().tolist()} for name, x in self.inputs.items()]
        body = json.dumps({"inputs": tensors}, separators=(",", ":")).encode()
        return Payload(body, {"Content-Type": "application/json"})

    def binary(self) -> Payload:
        """The request with the binary tensor data extension, asking for a binary answer."""
        tensors = [{**_head(n, x), "parameters": {"binary_data_size": x.nbytes}} for n, x in self.inputs.items()]
        head = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
        headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
        return Payload(head + b"".join(x.tobytes() for x in self.inputs.values()), headers)

    def grpc(self, *, raw: bool) -> Payload:
        """The request as a ModelInferRequest, its tensors as raw bytes or as typed contents."""
        message = service_pb2.ModelInferRequest(model_name=self.model)
        for name, x in self.inputs.items():
            tensor = message.inputs.add(name=name, datatype="FP32", shape=x.shape)
            if raw:
                message.raw_input_contents.append(x.tobytes())
            else:
                tensor.contents.fp32_contents.extend(x.ravel().tolist())
        return Payload(message.SerializeToString(), grpc=True)

    def check(self, outputs: Arrays) -> None:
        """Raise ValueError where ``outputs`` are not the right answer."""
        if missing := self.expected.keys() - outputs.keys():
            raise ValueError(f"model '{self.model}': no output {sorted(missing)} in the answer, only {sorted(outputs)}")
        for name, expected in self.expected.items():
            found = outputs[name]
            if found.shape != expected.shape or not np.allclose(found, expected, rtol=1e-4, atol=1e-4):
                raise ValueError(f"model '{self.model}': wrong output '{name}': {found.ravel()[:4]} of {found.shape}")


def _head(name: str, x: np.ndarray) -> dict[str, object]:
    return {"name": name, "datatype": "FP32", "shape": list(x.shape)}


def parse_rest(body: bytes, header_length: int | None) -> Arrays:
    """The outputs in a REST answer, JSON or binary."""
    head = json.loads(body[:header_length] if header_length else body)
    outputs, offset = {}, header_length or 0
    for tensor in head["outputs"]:
        size = (tensor.get("parameters") or {}).get("binary_data_size")
        if size is None:
            flat = np.array(tensor["data"], np.float32)
        else:
            flat = np.frombuffer(body, np.float32, size // 4, offset)
            offset += size
        outputs[tensor["name"]] = flat.reshape(tensor["shape"])
    return outputs


def parse_grpc(message: bytes) -> Arrays:
    """The outputs in a ModelInferResponse, raw or typed."""
    response = service_pb2.ModelInferResponse.FromString(message)
    raw = response.raw_output_contents
    outputs = {}
    for index, tensor in enumerate(response.outputs):
        flat = np.frombuffer(raw[index], np.float32) if raw else np.array(tensor.contents.fp32_contents, np.float32)
        outputs[tensor.name] = flat.reshape(tuple(tensor.shape))
    return outputs


def tiny_case() -> Case:
    """Two inputs of 16 floats."""
    a = np.arange(TINY_WIDTH, dtype=np.float32).reshape(1, -1) / 4
    b = np.linspace(-1, 1, TINY_WIDTH, dtype=np.float32).reshape(1, -1)
    return Case("tiny", {"a": a, "b": b}, {"sum": a + b, "difference": a - b})


def identity_case(count: int, model: str = "identity") -> Case:
    """``count`` floats in and out."""
    x = np.random.default_rng(3).random(count, dtype=np.float32)
    return Case(model, {"x": x}, {"y": x})


def mlp_case(model_file: str, model: str = "mlp") -> Case:
    """One row of the perceptron; the expected answer is onnxruntime's own."""
    import onnxruntime

    x = np.random.default_rng(5).standard_normal((1, MLP_WIDTHS[0])).astype(np.float32)
    session = onnxruntime.InferenceSession(model_file, providers=["CPUExecutionProvider"])
    return Case(model, {"x": x}, {"y": session.run(["y"], {"x": x})[0]})
