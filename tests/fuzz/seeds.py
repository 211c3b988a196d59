"""Valid requests that mutations start from, each for one of the models of ``targets``."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from oipserver.pb import inference_pb2 as pb
from oipserver.tensor import DATATYPES, Tensor

_ARRAYS: dict[str, np.ndarray[Any, Any]] = {
    name: np.arange(6).astype(datatype.dtype).reshape(2, 3) for name, datatype in DATATYPES.items() if name != "BYTES"
}
_ARRAYS["BYTES"] = np.array([[b"a", b"", b"\xc3\xa9"], [b"dd", b"e", b"f"]], dtype=object)
_PAIR = [np.full((2, 16), value, np.float32) for value in (1, 2)]


def _tensors() -> list[tuple[str, list[Tensor]]]:
    """Models with the inputs of a request to them."""
    echoes = [("echo", [Tensor.from_array("x", array, name)]) for name, array in _ARRAYS.items()]
    add = [Tensor.from_array(f"INPUT{number}", array) for number, array in enumerate(_PAIR)]
    text = ("text", [Tensor.from_array("x", _ARRAYS["BYTES"])])
    return [*echoes, text, ("echo", [tensor for _, tensors in echoes for tensor in tensors]), ("add", add)]


def _item(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "shape": list(tensor.shape), "datatype": tensor.datatype}


def json_documents() -> list[tuple[str, dict[str, Any]]]:
    """Models with a request to each, all of its data in the document."""
    made = []
    for model, tensors in _tensors():
        inputs = []
        for tensor in tensors:
            flat = tensor.array.ravel().tolist()
            data = [one.decode() for one in flat] if tensor.datatype == "BYTES" else flat
            inputs.append({**_item(tensor), "data": data})
        made.append((model, {"id": "7", "inputs": inputs, "parameters": {"priority": 1, "depth": 0.5}}))
    nested = {"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [[1, None], [2.5, -3]]}
    classes = [{"name": "OUTPUT0", "parameters": {"classification": 3}}, {"name": "OUTPUT1"}]
    return [*made, ("echo", {"inputs": [nested]}), ("add", {**made[-1][1], "outputs": classes})]


def binary_requests() -> list[tuple[str, dict[str, Any], bytes]]:
    """Models with a request to each: its document, and the binary data behind that."""
    made = []
    for model, tensors in _tensors():
        inputs = [{**_item(tensor), "parameters": {"binary_data_size": tensor.nbytes}} for tensor in tensors]
        outputs = [{"name": tensor.name, "parameters": {"binary_data": True}} for tensor in tensors[:1]]
        document = {"inputs": inputs, "outputs": outputs if model == "echo" else []}
        document["parameters"] = {"binary_data_output": True}
        made.append((model, document, b"".join(bytes(tensor.raw) for tensor in tensors)))
    return made


def messages() -> list[pb.ModelInferRequest]:
    """Requests with raw and with typed contents."""
    made = []
    for model, tensors in _tensors():
        message = pb.ModelInferRequest(model_name=model, id="7")
        message.parameters["depth"].double_param = 0.5
        for tensor in tensors:
            message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
            message.raw_input_contents.append(bytes(tensor.raw))
        made.append(message)
    add = made[-1]
    add.outputs.add(name="OUTPUT0").parameters["classification"].int64_param = 2
    add.outputs.add(name="OUTPUT1")
    large = pb.ModelInferRequest(model_name="echo")  # large enough to be cut by hand instead of being parsed
    large.inputs.add(name="x", datatype="UINT8", shape=[20_000])
    large.raw_input_contents.append(bytes(20_000))
    typed = pb.ModelInferRequest(model_name="echo")
    for name, field in (("INT8", "int_contents"), ("UINT64", "uint64_contents"), ("FP32", "fp32_contents")):
        contents = pb.InferTensorContents(**{field: [1, 2, 3]})
        typed.inputs.add(name=name, datatype=name, shape=[3], contents=contents)
    contents = pb.InferTensorContents(bytes_contents=[b"a", b""])
    typed.inputs.add(name="text", datatype="BYTES", shape=[2], contents=contents)
    return [*made, large, typed]


def flat_documents() -> list[tuple[str, dict[str, Any]]]:
    """Models with a flat object for each, as generate takes it."""
    numbers = [float(number) for number in range(16)]
    return [
        ("add", {"INPUT0": numbers, "INPUT1": numbers, "id": "7", "depth": 0.5}),
        ("text", {"x": ["a", "", "b"], "id": "7"}),
        ("echo", {"a": "text", "b": [1, 2], "c": 0.5, "d": [True], "parameters": {"stop": ["x"], "n": 1}}),
        ("echo", json.loads(json.dumps(json_documents()[0][1]))),
    ]
