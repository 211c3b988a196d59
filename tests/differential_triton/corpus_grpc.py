"""The gRPC requests both servers get, in this order; knows no server."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from tritonclient.grpc import service_pb2 as pb

from .corpus_rest import VALUES, model_of, packed

Case = dict[str, Any]

#: The field of the typed contents by datatype.
CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "UINT64": "uint64_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def parameters(target: Any, **values: Any) -> None:
    """Fill a map of InferParameter."""
    for name, value in values.items():
        kind = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}[type(value)]
        setattr(target[name], kind, value)


def request(model: str, datatype: str = "INT32", shape: Any = (1, 4), names: Any = ("INPUT0",), **more: Any) -> Any:
    """A ModelInferRequest; ``raw`` bytes for each input, or ``typed`` values for each."""
    message = pb.ModelInferRequest(model_name=model, model_version=more.get("version", ""), id=more.get("id", ""))
    for name in names:
        tensor = message.inputs.add(name=name, datatype=datatype, shape=shape)
        if "typed" in more:
            values = more["typed"]
            values = [value.encode() for value in values] if datatype == "BYTES" else values
            getattr(tensor.contents, more.get("field", CONTENTS[datatype])).extend(values)
    if "raw" in more:
        message.raw_input_contents.extend(more["raw"])
    elif "typed" not in more:
        message.raw_input_contents.extend([struct.pack("<4i", 1, 2, 3, 4)] * len(names))
    for output in more.get("outputs", ()):
        wanted = message.outputs.add(name=output[0])
        parameters(wanted.parameters, **output[1])
    parameters(message.parameters, **more.get("parameters", {}))
    return message


def infer(model: str, *arguments: Any, **more: Any) -> Case:
    return {"rpc": "ModelInfer", "message": request(model, *arguments, **more)}


def stream(*messages: Any) -> Case:
    return {"rpc": "ModelStreamInfer", "messages": messages}


PAIR = {"names": ("INPUT0", "INPUT1")}
ONE = struct.pack("<i", 5)


def _looks() -> Iterator[tuple[str, Case]]:
    for rpc in ("ServerLive", "ServerReady", "ServerMetadata"):
        yield rpc, {"rpc": rpc, "message": getattr(pb, f"{rpc}Request")()}
    for rpc in ("ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics"):
        kind = getattr(pb, f"{rpc}Request")
        for case, (name, version) in {
            "known": ("add_sub", ""),
            "unknown": ("nope", ""),
            "failed": ("raises", ""),
            "version": ("versions", "3"),
            "no-version": ("add_sub", "9"),
            "bad-version": ("add_sub", "x"),
        }.items():
            yield f"{rpc}/{case}", {"rpc": rpc, "message": kind(name=name, version=version)}
    for ready in (False, True):
        yield f"index/{ready}", {"rpc": "RepositoryIndex", "message": pb.RepositoryIndexRequest(ready=ready)}
    named = pb.RepositoryIndexRequest(repository_name="other")
    yield "index/named", {"rpc": "RepositoryIndex", "message": named}


def _infers() -> Iterator[tuple[str, Case]]:
    yield "infer", infer("add_sub", **PAIR)
    yield "infer/id", infer("add_sub", **PAIR, id="7")
    yield "infer/version", infer("versions", shape=[4], **PAIR, version="1")
    yield "infer/no-version", infer("versions", shape=[4], **PAIR, version="2")
    yield "infer/bad-version", infer("versions", shape=[4], **PAIR, version="x")
    yield "infer/unknown", infer("nope", **PAIR)
    yield "infer/failed", infer("raises")
    yield "infer/ensemble", infer("ensemble", names=("A",))
    yield "infer/decoupled", infer("repeat", shape=[4])
    yield "infer/parameters", infer("parameters", shape=[1], raw=[ONE], parameters={"a": 1, "b": "x", "c": True})
    for datatype, (values, _) in VALUES.items():
        model = model_of(datatype)
        yield f"raw/{datatype}", infer(model, datatype, [1, 2], raw=[packed(datatype, values)])
        if datatype in CONTENTS:
            yield f"typed/{datatype}", infer(model, datatype, [1, 2], typed=values)
    for code in (-1, 0, 1, 2, 3, 4, 5, 6, 7):
        yield f"fails/{code}", infer("fails", shape=[1], names=("CODE",), raw=[struct.pack("<i", code)])
    yield "outputs/one", infer("add_sub", **PAIR, outputs=[("OUTPUT1", {})])
    yield "outputs/unknown", infer("add_sub", **PAIR, outputs=[("NOPE", {})])
    yield "outputs/twice", infer("add_sub", **PAIR, outputs=[("OUTPUT1", {})] * 2)
    yield "outputs/binary", infer("add_sub", **PAIR, outputs=[("OUTPUT1", {"binary_data": True})])
    for count in (1, 3, 9, 0, -1, "2"):
        yield f"classes/{count}", infer("add_sub", **PAIR, outputs=[("OUTPUT0", {"classification": count})])


def _mistakes() -> Iterator[tuple[str, Case]]:
    yield "wrong/nameless", infer("", **PAIR)
    yield "wrong/no-inputs", infer("add_sub", names=(), raw=[])
    yield "wrong/one-missing", infer("add_sub")
    yield "wrong/unknown-input", infer("add_sub", names=("INPUT0", "INPUT1", "INPUT2"))
    yield "wrong/twice", infer("add_sub", names=("INPUT0", "INPUT0"))
    yield "wrong/datatype", infer("add_sub", "INT64", **PAIR, raw=[bytes(32)] * 2)
    yield "wrong/datatype-unknown", infer("add_sub", "INT33", **PAIR)
    for name, shape in {
        "last": [1, 5],
        "rank": [4],
        "batch": [9, 4],
        "negative": [-1, 4],
        "zero": [0, 4],
        "huge": [2**40, 2**40],
    }.items():
        yield f"wrong/shape-{name}", infer("add_sub", shape=shape, **PAIR)
    yield "wrong/both", infer("add_sub", **PAIR, typed=[1, 2, 3, 4], raw=[bytes(16)] * 2)
    yield "wrong/raw-few", infer("add_sub", **PAIR, raw=[bytes(16)])
    yield "wrong/raw-many", infer("add_sub", **PAIR, raw=[bytes(16)] * 3)
    yield "wrong/raw-short", infer("add_sub", **PAIR, raw=[bytes(16), bytes(15)])
    yield "wrong/raw-long", infer("add_sub", **PAIR, raw=[bytes(16), bytes(17)])
    yield "wrong/raw-none", infer("add_sub", **PAIR, raw=[])
    yield "wrong/typed-short", infer("add_sub", **PAIR, typed=[1, 2, 3])
    yield "wrong/typed-field", infer("add_sub", **PAIR, typed=[1, 2, 3, 4], field="int64_contents")
    yield "wrong/typed-range", infer("id_int8", "INT8", [1, 1], typed=[1000])
    yield "wrong/text-lies", infer("id_string", "BYTES", [1, 1], raw=[struct.pack("<I", 400) + b"abcd"])
    for name, value in {"sequence_id": 1.5, "sequence_start": "yes", "priority": "1", "timeout": "1"}.items():
        yield f"wrong/{name}", infer("add_sub", **PAIR, parameters={name: value})


def _streams() -> Iterator[tuple[str, Case]]:
    pair = request("add_sub", **PAIR, id="1")
    final = {"triton_enable_empty_final_response": True}
    yield "stream/one", stream(pair)
    yield "stream/two", stream(pair, request("add_sub", **PAIR, id="2"))
    yield "stream/wrong", stream(request("nope", **PAIR, id="1"))
    yield "stream/decoupled", stream(request("repeat", shape=[4], id="1"))
    yield "stream/decoupled-final", stream(request("repeat", shape=[4], id="1", parameters=final))
    yield "stream/decoupled-none", stream(request("repeat", shape=[0], raw=[b""], id="1", parameters=final))
    yield "stream/nothing", stream()
    step = {"shape": [1, 1], "raw": [ONE]}
    yield (
        "stream/sequence",
        stream(
            request("sequence", **step, parameters={"sequence_id": 9, "sequence_start": True}),
            request("sequence", **step, parameters={"sequence_id": 9}),
            request("sequence", **step, parameters={"sequence_id": 9, "sequence_end": True}),
        ),
    )
    yield "sequence/no-start", infer("sequence", **step, parameters={"sequence_id": 10})
    yield "sequence/none", infer("sequence", **step)


def _others() -> Iterator[tuple[str, Case]]:
    for kind in ("System", "Cuda"):
        for what in ("Status", "Unregister"):
            rpc = f"{kind}SharedMemory{what}"
            for name in ("", "nope"):
                yield f"{rpc}/{name}", {"rpc": rpc, "message": getattr(pb, f"{rpc}Request")(name=name)}
    register = pb.SystemSharedMemoryRegisterRequest(name="r", key="/oipserver-nothing-here", byte_size=16)
    yield "register", {"rpc": "SystemSharedMemoryRegister", "message": register}
    for rpc in ("TraceSetting", "LogSettings"):
        yield rpc, {"rpc": rpc, "message": getattr(pb, f"{rpc}Request")()}
    unknown = pb.TraceSettingRequest(model_name="nope")
    yield "TraceSetting/unknown", {"rpc": "TraceSetting", "message": unknown}
    wrong = pb.TraceSettingRequest()
    wrong.settings["nope"].value.append("1")
    yield "TraceSetting/wrong", {"rpc": "TraceSetting", "message": wrong}
    log = pb.LogSettingsRequest()
    log.settings["nope"].bool_param = True
    yield "LogSettings/wrong", {"rpc": "LogSettings", "message": log}
    for name in ("single", "nope", "raises", "wrong", ""):
        load = pb.RepositoryModelLoadRequest(model_name=name)
        yield f"load/{name}", {"rpc": "RepositoryModelLoad", "message": load}
    load = pb.RepositoryModelLoadRequest(model_name="single")
    load.parameters["nope"].bool_param = True
    yield "load/parameter", {"rpc": "RepositoryModelLoad", "message": load}
    load = pb.RepositoryModelLoadRequest(model_name="single")
    load.parameters["config"].bool_param = True
    yield "load/config", {"rpc": "RepositoryModelLoad", "message": load}
    load = pb.RepositoryModelLoadRequest(model_name="single", repository_name="other")
    yield "load/other", {"rpc": "RepositoryModelLoad", "message": load}
    for name in ("single", "nope", ""):
        unload = pb.RepositoryModelUnloadRequest(model_name=name)
        yield f"unload/{name}", {"rpc": "RepositoryModelUnload", "message": unload}
    unload = pb.RepositoryModelUnloadRequest(model_name="single")
    unload.parameters["unload_dependents"].string_param = "yes"
    yield "unload/parameter", {"rpc": "RepositoryModelUnload", "message": unload}


def cases() -> Iterator[tuple[str, Case]]:
    """Name and request: "rpc" and "message", or "messages" of a stream."""
    for part in (_looks, _infers, _mistakes, _streams, _others):
        yield from ((f"grpc/{name}", case) for name, case in part())
