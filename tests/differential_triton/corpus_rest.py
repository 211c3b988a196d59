"""The REST requests for inference, and about models, that both servers get, in this order; knows no server."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

Case = dict[str, Any]
HEADER = "inference-header-content-length"

#: By datatype: values as JSON, and how struct writes one.
VALUES: dict[str, tuple[list[Any], str]] = {
    "BOOL": ([True, False], "?"),
    "UINT8": ([0, 255], "B"),
    "UINT16": ([0, 65535], "H"),
    "UINT32": ([0, 2**32 - 1], "I"),
    "UINT64": ([0, 2**64 - 1], "Q"),
    "INT8": ([-128, 127], "b"),
    "INT16": ([-32768, 32767], "h"),
    "INT32": ([-(2**31), 2**31 - 1], "i"),
    "INT64": ([-(2**63), 2**63 - 1], "q"),
    "FP16": ([1.5, -2.0], "e"),
    "FP32": ([1.5, -0.1], "f"),
    "FP64": ([0.1, 1e300], "d"),
    "BYTES": (["", "é\x00x"], ""),
}


def packed(datatype: str, values: list[Any]) -> bytes:
    """``values`` as they lie in a binary body."""
    if datatype == "BYTES":
        texts = [value.encode() for value in values]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return struct.pack(f"<{len(values)}{VALUES[datatype][1]}", *values)


def model_of(datatype: str) -> str:
    return f"id_{'string' if datatype == 'BYTES' else datatype.lower()}"


def tensor(name: str = "INPUT0", datatype: str = "INT32", shape: Any = None, data: Any = None, **more: Any) -> Case:
    given: Case = {"name": name, "datatype": datatype, "shape": [1, 4] if shape is None else shape, **more}
    return given if data is Ellipsis else {**given, "data": [1, 2, 3, 4] if data is None else data}


def infer(model: str, *inputs: Case, **more: Any) -> Case:
    return {"method": "POST", "path": f"/v2/models/{model}/infer", "body": {"inputs": list(inputs), **more}}


def binary(model: str, head: Any, tail: bytes, **headers: str) -> Case:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    named = {HEADER: str(len(text)), "content-type": "application/octet-stream", **headers}
    return {"method": "POST", "path": f"/v2/models/{model}/infer", "body": text + tail, "headers": named}


def get(path: str) -> Case:
    return {"method": "GET", "path": path}


def post(path: str, body: Any = None) -> Case:
    return {"method": "POST", "path": path, "body": body}


PAIR = (tensor(), tensor("INPUT1"))
FLAT = (tensor(shape=[4]), tensor("INPUT1", shape=[4]))


def _looks() -> Iterator[tuple[str, Case]]:
    yield "server", get("/v2")
    for path in ("health/live", "health/ready", "models/add_sub/ready", "models/add_sub/versions/1/ready"):
        yield path, get(f"/v2/{path}")
    for name, model in {
        "known": "add_sub",
        "unknown": "nope",
        "failed": "raises",
        "version": "versions/versions/3",
        "no-version": "add_sub/versions/9",
        "bad-version": "add_sub/versions/x",
    }.items():
        for what in ("", "/ready", "/config", "/stats"):
            yield f"{name}{what or '/metadata'}", get(f"/v2/models/{model}{what}")
    for model in ("batched", "versions", "reshaped", "free", "optional", "repeat", "sequence", "ensemble", "id_string"):
        yield f"{model}/metadata", get(f"/v2/models/{model}")
        yield f"{model}/config", get(f"/v2/models/{model}/config")
    yield "stats", get("/v2/models/stats")
    yield "index", post("/v2/repository/index", {})
    yield "index/no-body", post("/v2/repository/index")
    yield "index/ready", post("/v2/repository/index", {"ready": True})
    yield "index/named", post("/v2/repository/other/index", {})
    yield "index/not-json", post("/v2/repository/index", b"{")
    yield "index/ready-text", post("/v2/repository/index", {"ready": "yes"})
    for path in (
        "/",
        "/v2/",
        "/v2/nope",
        "/v2/models",
        "/v2/models/add_sub/nope",
        "/v3",
        "/v2/health",
        "/v2/models//ready",
    ):
        yield f"path:{path}", get(path)
    yield "method/infer", get("/v2/models/add_sub/infer")
    yield "method/config", post("/v2/models/add_sub/config", {})
    yield "method/server", post("/v2", {})


def _infers() -> Iterator[tuple[str, Case]]:
    yield "infer", infer("add_sub", *PAIR)
    yield "infer/id", infer("add_sub", *PAIR, id="7")
    yield "infer/version", {**infer("versions", *FLAT), "path": "/v2/models/versions/versions/1/infer"}
    yield "infer/latest", infer("versions", *FLAT)
    yield "infer/no-version", {**infer("add_sub", *PAIR), "path": "/v2/models/add_sub/versions/9/infer"}
    yield "infer/bad-version", {**infer("add_sub", *PAIR), "path": "/v2/models/add_sub/versions/x/infer"}
    yield "infer/unknown", infer("nope", *PAIR)
    yield "infer/failed", infer("raises", *PAIR)
    yield "infer/nested", infer("add_sub", tensor(data=[[1, 2], [3, 4]]), PAIR[1])
    yield "infer/single", infer("single", *FLAT)
    yield "infer/batched", infer("batched", *PAIR)
    yield "infer/ensemble", infer("ensemble", tensor("A"))
    yield "infer/reshaped", infer("reshaped", tensor("INPUT0", "FP32", [2, 1], [1.5, 2]))
    yield "infer/free", infer("free", tensor("INPUT0", "FP32", [3, 2], [1, 2, 3, 4, 5, 6]))
    yield "infer/free-zero", infer("free", tensor("INPUT0", "FP32", [0, 2], []))
    yield "infer/optional", infer("optional", tensor("A", "FP32", [1, 1], [1]))
    yield "infer/optional-both", infer("optional", tensor("A", "FP32", [1, 1], [1]), tensor("B", "FP32", [1, 1], [1]))
    yield "infer/parameters", infer("parameters", tensor(shape=[1], data=[1]), parameters={"a": 1, "b": "x", "c": True})
    yield "infer/parameter-double", infer("parameters", tensor(shape=[1], data=[1]), parameters={"a": 1.5})
    yield "infer/parameter-list", infer("parameters", tensor(shape=[1], data=[1]), parameters={"a": [1]})
    yield "infer/decoupled", infer("repeat", tensor(shape=[2], data=[1, 2]))
    for datatype, (values, _) in VALUES.items():
        given = tensor("INPUT0", datatype, [1, 2], values)
        yield f"json/{datatype}", infer(model_of(datatype), given)
        yield f"wrong-type/{datatype}", infer(model_of(datatype), tensor("INPUT0", datatype, [1, 2], [{}, []]))
    for value in (1.5, "1", None, True, 2**31, -(2**31) - 1):
        yield f"json/INT32-{value!r}", infer("id_int32", tensor(shape=[1, 1], data=[value]))
    for value in (1, "1", None, True):
        yield f"json/FP32-{value!r}", infer("id_fp32", tensor("INPUT0", "FP32", [1, 1], [value]))
    for value in (0, 1, "true"):
        yield f"json/BOOL-{value!r}", infer("id_bool", tensor("INPUT0", "BOOL", [1, 1], [value]))
    yield "json/UINT8-256", infer("id_uint8", tensor("INPUT0", "UINT8", [1, 1], [256]))
    yield "json/UINT8--1", infer("id_uint8", tensor("INPUT0", "UINT8", [1, 1], [-1]))
    yield "json/BYTES-number", infer("id_string", tensor("INPUT0", "BYTES", [1, 1], [1]))
    for code in (-1, 0, 1, 2, 3, 4, 5, 6, 7):
        yield f"fails/{code}", infer("fails", tensor("CODE", shape=[1], data=[code]))


def _statistics() -> Iterator[tuple[str, Case]]:
    for model in ("batched", "free", "ensemble", "reshaped", "id_int64"):
        yield f"{model}/stats", get(f"/v2/models/{model}/stats")


def _outputs() -> Iterator[tuple[str, Case]]:
    def wanted(*outputs: Any, **more: Any) -> Case:
        return infer("add_sub", *PAIR, outputs=list(outputs), **more)

    yield "outputs/one", wanted({"name": "OUTPUT1"})
    yield "outputs/unknown", wanted({"name": "NOPE"})
    yield "outputs/twice", wanted({"name": "OUTPUT1"}, {"name": "OUTPUT1"})
    yield "outputs/nameless", wanted({})
    yield "outputs/empty", wanted()
    yield "outputs/binary", wanted({"name": "OUTPUT1", "parameters": {"binary_data": True}})
    yield "outputs/mixed", wanted({"name": "OUTPUT1", "parameters": {"binary_data": True}}, {"name": "OUTPUT0"})
    yield "outputs/all-binary", infer("add_sub", *PAIR, parameters={"binary_data_output": True})
    yield (
        "outputs/not-this",
        wanted(
            {"name": "OUTPUT0", "parameters": {"binary_data": False}},
            {"name": "OUTPUT1"},
            parameters={"binary_data_output": True},
        ),
    )
    for count in (1, 3, 9, 0, -1):
        yield f"classes/{count}", wanted({"name": "OUTPUT0", "parameters": {"classification": count}})
    yield "classes/binary", wanted({"name": "OUTPUT1", "parameters": {"classification": 2, "binary_data": True}})
    yield "classes/text", wanted({"name": "OUTPUT1", "parameters": {"classification": "2"}})
    yield (
        "outputs/no-region",
        wanted({"name": "OUTPUT0", "parameters": {"shared_memory_region": "r", "shared_memory_byte_size": 16}}),
    )


def _mistakes() -> Iterator[tuple[str, Case]]:
    yield "wrong/no-inputs", infer("add_sub")
    yield "wrong/no-inputs-member", {**infer("add_sub"), "body": {}}
    yield "wrong/inputs-object", {**infer("add_sub"), "body": {"inputs": {}}}
    yield "wrong/array", {**infer("add_sub"), "body": []}
    yield "wrong/empty", {**infer("add_sub"), "body": b""}
    yield "wrong/not-json", {**infer("add_sub"), "body": b'{"inputs": ['}
    yield "wrong/id-number", infer("add_sub", *PAIR, id=7)
    yield "wrong/one-missing", infer("add_sub", PAIR[0])
    yield "wrong/unknown-input", infer("add_sub", *PAIR, tensor("INPUT2"))
    yield "wrong/twice", infer("add_sub", PAIR[0], PAIR[0])
    yield "wrong/datatype", infer("add_sub", tensor(datatype="INT64"), PAIR[1])
    yield "wrong/datatype-unknown", infer("add_sub", tensor(datatype="INT33"), PAIR[1])
    for name, shape in {
        "shape": [1, 5],
        "rank": [4],
        "batch": [9, 4],
        "negative": [-1, 4],
        "zero": [0, 4],
        "text": ["1", 4],
        "huge": [2**40, 2**40],
        "float": [1.0, 4],
    }.items():
        yield f"wrong/shape-{name}", infer("add_sub", tensor(shape=shape), PAIR[1])
    yield "wrong/batches-differ", infer("add_sub", PAIR[0], tensor("INPUT1", shape=[2, 4], data=[0] * 8))
    yield "wrong/data-short", infer("add_sub", tensor(data=[1, 2, 3]), PAIR[1])
    yield "wrong/data-long", infer("add_sub", tensor(data=[1, 2, 3, 4, 5]), PAIR[1])
    yield "wrong/data-missing", infer("add_sub", tensor(data=...), PAIR[1])
    yield "wrong/data-scalar", infer("add_sub", tensor(data=7), PAIR[1])
    for missing in ("name", "shape", "datatype"):
        given = {name: value for name, value in PAIR[0].items() if name != missing}
        yield f"wrong/no-{missing}", infer("add_sub", given, PAIR[1])
    region = {"shared_memory_region": "nope", "shared_memory_byte_size": 16}
    yield "wrong/region", infer("add_sub", tensor(data=..., parameters=region), PAIR[1])
    yield "wrong/parameters-array", infer("add_sub", *PAIR, parameters=[1])


def _binaries() -> Iterator[tuple[str, Case]]:
    for datatype, (values, _) in VALUES.items():
        tail = packed(datatype, values)
        given = tensor("INPUT0", datatype, [1, 2], ..., parameters={"binary_data_size": len(tail)})
        outputs = [{"name": "OUTPUT0", "parameters": {"binary_data": True}}]
        yield f"binary/{datatype}", binary(model_of(datatype), {"inputs": [given], "outputs": outputs}, tail)
    raw = packed("INT32", [1, 2])

    def sized(size: Any, tail: bytes = raw, **headers: str) -> Case:
        given = tensor(shape=[1, 2], data=..., parameters={"binary_data_size": size})
        return binary("id_int32", {"inputs": [given]}, tail, **headers)

    yield "binary/json-answer", sized(8)
    yield "binary/short", sized(8, raw[:7])
    yield "binary/rest", sized(8, raw + b"x")
    yield "binary/size-less", sized(7)
    yield "binary/size-text", sized("8")
    yield "binary/size-negative", sized(-8)
    yield "binary/header-long", sized(8, **{HEADER: "5000"})
    yield "binary/header-text", sized(8, **{HEADER: "x"})
    yield "binary/header-negative", sized(8, **{HEADER: "-1"})
    texts = tensor("INPUT0", "BYTES", [1, 1], ..., parameters={"binary_data_size": 8})
    yield "binary/text-lies", binary("id_string", {"inputs": [texts]}, struct.pack("<I", 400) + b"abcd")
    yield "binary/raw", binary("id_int32", b"", raw)
    yield "binary/raw-two", binary("add_sub", b"", raw)


def cases() -> Iterator[tuple[str, Case]]:
    """Name and request: "method", "path", "body", "headers"."""
    for part in (_looks, _infers, _statistics, _outputs, _mistakes, _binaries):
        yield from part()
