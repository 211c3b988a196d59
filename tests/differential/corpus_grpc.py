"""The gRPC requests both servers get, in this order; knows no server."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from oipserver.compat.grpc import dataplane_pb2 as pb

from .corpus_values import FAILURES

Case = dict[str, Any]

#: By name: datatype, field of the typed contents, values, how struct writes them.
DATATYPES: dict[str, tuple[str, list[Any], str]] = {
    "BOOL": ("bool_contents", [True, False], "<2?"),
    "UINT8": ("uint_contents", [0, 255], "<2B"),
    "UINT16": ("uint_contents", [0, 65535], "<2H"),
    "UINT32": ("uint_contents", [0, 2**32 - 1], "<2I"),
    "UINT64": ("uint64_contents", [0, 2**64 - 1], "<2Q"),
    "INT8": ("int_contents", [-128, 127], "<2b"),
    "INT16": ("int_contents", [-32768, 32767], "<2h"),
    "INT32": ("int_contents", [-1, 2], "<2i"),
    "INT64": ("int64_contents", [-(2**63), 2], "<2q"),
    "FP16": ("fp32_contents", [1.5, -2.0], "<2e"),
    "FP32": ("fp32_contents", [1.5, -2.0], "<2f"),
    "FP64": ("fp64_contents", [0.1, 1e300], "<2d"),
}


def parameters(target: Any, **values: Any) -> None:
    """Fill a map of InferParameter."""
    for name, value in values.items():
        kind = {bool: "bool_param", int: "int64_param", str: "string_param"}[type(value)]
        setattr(target[name], kind, value)


def request(model: str, datatype: str = "INT64", **more: Any) -> Any:
    """A ModelInferRequest of one input, "x" of two values unless told otherwise, as typed contents or ``raw``."""
    message = pb.ModelInferRequest(model_name=model, model_version=more.get("version", ""), id=more.get("id", ""))
    tensor = message.inputs.add(name=more.get("name", "x"), datatype=datatype, shape=more.get("shape", [1, 2]))
    if content_type := more.get("content_type"):
        parameters(tensor.parameters, content_type=content_type)
    if "raw" in more:
        message.raw_input_contents.append(more["raw"])
    else:
        getattr(tensor.contents, more["field"]).extend(more["values"])
    return message


def text(model: str, value: str) -> Any:
    """One text for ``model``."""
    return request(
        model, "BYTES", name="text", shape=[1], content_type="str", field="bytes_contents", values=[value.encode()]
    )


def total(**more: Any) -> Any:
    """A right request to the model "total"."""
    return request("total", shape=[1, 3], **{"field": "int64_contents", "values": [1, 2, 3], **more})


def call(rpc: str, message: Any, **metadata: str) -> Case:
    """A call with its metadata."""
    return {"rpc": rpc, "message": message, "metadata": {name.replace("_", "-"): v for name, v in metadata.items()}}


def cases() -> Iterator[tuple[str, Case]]:
    """Every case with its name, the ones that change what is loaded last."""
    yield from _told().items()
    for datatype, (field, values, layout) in DATATYPES.items():
        # MLServer keeps FP16 in bytes_contents, where no number fits: its clients can only send it raw.
        typed = request("echo", datatype, content_type="np", field=field, values=values)
        raw = request("echo", datatype, content_type="np", raw=struct.pack(layout, *values))
        yield f"grpc/typed/{datatype}", call("ModelInfer", typed)
        yield f"grpc/raw/{datatype}", call("ModelInfer", raw)
    yield from _bytes().items()
    yield from _infer().items()
    for way in FAILURES:
        yield f"grpc/failing/{way}", call("ModelInfer", text("failing", way))
    for name in ("np-float32", "np-float16", "np-nan", "np-texts", "str-plain", "base64-plain", "pd-plain", "pd-json"):
        yield f"grpc/golden/{name}", call("ModelInfer", text("golden", name))
    for name, sent in {"plain": "a cat sat", "fails-at-once": "stop", "fails-later": "a stop cat"}.items():
        yield f"grpc/stream/{name}", call("ModelStreamInfer", text("words", sent))
    yield "grpc/stream/unknown-model", call("ModelStreamInfer", text("nope", "a"))
    yield from _repository().items()


def _told() -> dict[str, Case]:
    found = {
        "live": call("ServerLive", pb.ServerLiveRequest()),
        "ready": call("ServerReady", pb.ServerReadyRequest()),
        "server-metadata": call("ServerMetadata", pb.ServerMetadataRequest()),
        "metadata": call("ModelMetadata", pb.ModelMetadataRequest(name="total")),
        "metadata-version": call("ModelMetadata", pb.ModelMetadataRequest(name="total", version="v1")),
        "metadata-unknown": call("ModelMetadata", pb.ModelMetadataRequest(name="nope")),
        "model-ready": call("ModelReady", pb.ModelReadyRequest(name="total")),
        "model-ready-unknown": call("ModelReady", pb.ModelReadyRequest(name="nope")),
    }
    return {f"grpc/told/{name}": case for name, case in found.items()}


def _bytes() -> dict[str, Case]:
    raw = b"".join(len(each).to_bytes(4, "little") + each for each in (b"hey", "é".encode()))
    common: dict[str, Any] = {"shape": [2], "field": "bytes_contents"}
    found = {
        "texts": request("echo", "BYTES", content_type="str", values=[b"hey", "é".encode()], **common),
        "texts-raw": request("echo", "BYTES", content_type="str", shape=[2], raw=raw),
        "base64": request("echo", "BYTES", content_type="base64", values=[b"UHl0aG9u", b"aXM="], **common),
        "np-of-one-length": request("echo", "BYTES", content_type="np", values=[b"ab", b"cd"], **common),
        "np-of-two-lengths": request("echo", "BYTES", content_type="np", values=[b"abc", b"de"], **common),
        "no-content-type": request("echo", "BYTES", values=[b"abc", b"de"], **common),
        "no-content-type-raw": request("echo", "BYTES", shape=[2], raw=raw),
    }
    return {f"grpc/bytes/{name}": call("ModelInfer", message) for name, message in found.items()}


def _infer() -> dict[str, Case]:
    with_parameters = total(id="mine")
    parameters(with_parameters.parameters, a=1, b="c", d=True)
    asked = total(id="mine")
    asked.outputs.add(name="total")
    found = {
        "plain": call("ModelInfer", total()),
        "id": call("ModelInfer", total(id="mine")),
        "version": call("ModelInfer", total(id="mine", version="v1")),
        "metadata": call("ModelInfer", total(id="mine"), x_foo="Bar"),
        "parameters": call("ModelInfer", with_parameters),
        "outputs": call("ModelInfer", asked),
        "raw": call("ModelInfer", total(id="mine", raw=struct.pack("<3q", 1, 2, 3))),
        "unknown-model": call("ModelInfer", request("nope", field="int64_contents", values=[1, 2])),
        "unknown-version": call("ModelInfer", total(version="v7")),
        "raw-too-short": call("ModelInfer", total(raw=b"12345")),
        "wrong-shape": call("ModelInfer", total(values=[1, 2])),
        "bad-datatype": call("ModelInfer", request("echo", "FLOAT", field="fp32_contents", values=[1, 2])),
        "batched": call("ModelInfer", request("batched", field="int64_contents", values=[1, 2])),
        "no-inputs": call("ModelInfer", pb.ModelInferRequest(model_name="total")),
    }
    return {f"grpc/infer/{name}": case for name, case in found.items()}


def _repository() -> dict[str, Case]:
    load, unload = pb.RepositoryModelLoadRequest, pb.RepositoryModelUnloadRequest
    found = {
        "index": call("RepositoryIndex", pb.RepositoryIndexRequest()),
        "index-ready": call("RepositoryIndex", pb.RepositoryIndexRequest(ready=True)),
        "unload": call("RepositoryModelUnload", unload(model_name="movable")),
        "unload-again": call("RepositoryModelUnload", unload(model_name="movable")),
        "unloaded-index": call("RepositoryIndex", pb.RepositoryIndexRequest()),
        "unloaded-metadata": call("ModelMetadata", pb.ModelMetadataRequest(name="movable")),
        "unloaded-ready": call("ModelReady", pb.ModelReadyRequest(name="movable")),
        "unloaded-infer": call("ModelInfer", pb.ModelInferRequest(model_name="movable")),
        "load": call("RepositoryModelLoad", load(model_name="movable")),
        "reload": call("RepositoryModelLoad", load(model_name="movable")),
        "loaded-infer": call("ModelInfer", pb.ModelInferRequest(model_name="movable")),
        "load-unknown": call("RepositoryModelLoad", load(model_name="nope")),
        "unload-unknown": call("RepositoryModelUnload", unload(model_name="nope")),
    }
    return {f"grpc/repository/{name}": case for name, case in found.items()}
