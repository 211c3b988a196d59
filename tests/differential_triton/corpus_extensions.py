"""The REST requests of the extensions that both servers get, in this order; knows no server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from .corpus_rest import FLAT, PAIR, Case, get, infer, post, tensor


def _generates() -> Iterator[tuple[str, Case]]:
    for route in ("generate", "generate_stream"):
        path = f"/v2/models/text/{route}"
        yield route, post(path, {"text_input": "a"})
        yield f"{route}/parameters", post(path, {"text_input": "a", "parameters": {"x": 1}, "y": True, "z": "t"})
        yield f"{route}/id", post(path, {"text_input": "a", "id": "7"})
        yield f"{route}/no-input", post(path, {"x": "a"})
        yield f"{route}/wrong-type", post(path, {"text_input": {}})
        yield f"{route}/not-json", post(path, b"{")
        yield f"{route}/unknown", post(f"/v2/models/nope/{route}", {"text_input": "a"})
        yield f"{route}/decoupled", post(f"/v2/models/repeat/{route}", {"INPUT0": [3, 4]})
    yield "generate/decoupled-one", post("/v2/models/repeat/generate", {"INPUT0": [3]})
    yield "generate/get", get("/v2/models/text/generate")


def _sequences() -> Iterator[tuple[str, Case]]:
    def step(**parameters: Any) -> Case:
        return infer("sequence", tensor(shape=[1, 1], data=[5]), parameters=parameters)

    yield "sequence/none", infer("sequence", tensor(shape=[1, 1], data=[5]))
    yield "sequence/no-start", step(sequence_id=77)
    yield "sequence/start", step(sequence_id=5, sequence_start=True)
    yield "sequence/middle", step(sequence_id=5)
    yield "sequence/end", step(sequence_id=5, sequence_end=True)
    yield "sequence/after", step(sequence_id=5)
    yield "sequence/id-float", step(sequence_id=1.5, sequence_start=True)
    yield "sequence/start-text", step(sequence_id=6, sequence_start="yes")
    yield "sequence/plain-model", infer("add_sub", *PAIR, parameters={"sequence_id": 5})
    yield "priority/text", infer("add_sub", *PAIR, parameters={"priority": "1"})
    yield "priority/negative", infer("add_sub", *PAIR, parameters={"priority": -1})
    yield "priority/number", infer("add_sub", *PAIR, parameters={"priority": 1, "timeout": 1000000})
    yield "timeout/text", infer("add_sub", *PAIR, parameters={"timeout": "1"})


def _regions() -> Iterator[tuple[str, Case]]:
    for kind in ("systemsharedmemory", "cudasharedmemory"):
        path = f"/v2/{kind}"
        yield f"{kind}/status", get(f"{path}/status")
        yield f"{kind}/region", get(f"{path}/region/nope/status")
        yield f"{kind}/unregister", post(f"{path}/region/nope/unregister")
        yield f"{kind}/unregister-all", post(f"{path}/unregister")
    path = "/v2/systemsharedmemory/region/r/register"
    yield "register/no-file", post(path, {"key": "/oipserver-nothing-here", "byte_size": 16})
    yield "register/no-key", post(path, {"byte_size": 16})
    yield "register/no-size", post(path, {"key": "/x"})
    yield "register/key-number", post(path, {"key": 1, "byte_size": 16})
    yield "register/not-json", post(path, b"{")
    yield "register/get", get(path)


def _settings() -> Iterator[tuple[str, Case]]:
    yield "logging", get("/v2/logging")
    yield "logging/change", post("/v2/logging", {"log_verbose_level": 1, "log_info": False})
    yield "logging/changed", get("/v2/logging")
    yield "logging/back", post("/v2/logging", {"log_verbose_level": 0, "log_info": True})
    for name, body in {
        "unknown": {"nope": 1},
        "text": {"log_info": "yes"},
        "file": {"log_file": "x"},
        "level": {"log_verbose_level": -1},
        "format": {"log_format": "nope"},
    }.items():
        yield f"logging/{name}", post("/v2/logging", body)
    yield "logging/not-json", post("/v2/logging", b"{")
    yield "trace", get("/v2/trace/setting")
    yield "trace/model", get("/v2/models/add_sub/trace/setting")
    yield "trace/unknown-model", get("/v2/models/nope/trace/setting")
    for name, body in {
        "rate": {"trace_rate": "5"},
        "count": {"trace_count": "-1"},
        "model-frequency": {"log_frequency": "3"},
        "level": {"trace_level": ["NOPE"]},
        "level-text": {"trace_level": "OFF"},
        "unknown": {"nope": "1"},
        "rate-number": {"trace_rate": 5},
        "rate-text": {"trace_rate": "x"},
        "rate-huge": {"trace_rate": "99999999999"},
        "clear": {"trace_rate": None},
    }.items():
        yield f"trace/{name}", post("/v2/trace/setting", body)
    yield "trace/model-rate", post("/v2/models/add_sub/trace/setting", {"trace_rate": "7"})
    yield "trace/model-clear", post("/v2/models/add_sub/trace/setting", {"trace_rate": None})
    yield "trace/not-json", post("/v2/trace/setting", b"{")


def _control() -> Iterator[tuple[str, Case]]:
    path = "/v2/repository/models/single"
    config = json.dumps({"max_batch_size": "4"})
    source = base64.b64encode(b"nothing").decode()
    yield "load", post(f"{path}/load")
    yield "load/config", post(f"{path}/load", {"parameters": {"config": config}})
    yield "load/config-seen", get("/v2/models/single/config")
    yield "load/config-not-json", post(f"{path}/load", {"parameters": {"config": "{"}})
    yield "load/config-number", post(f"{path}/load", {"parameters": {"config": 1}})
    yield "load/parameter", post(f"{path}/load", {"parameters": {"nope": 1}})
    yield "load/files-alone", post(f"{path}/load", {"parameters": {"file:1/model.py": source}})
    yield "load/unknown", post("/v2/repository/models/nope/load")
    yield "load/raises", post("/v2/repository/models/raises/load")
    yield "load/wrong", post("/v2/repository/models/wrong/load")
    yield "load/other-repository", post("/v2/repository/other/models/single/load")
    yield "load/not-json", post(f"{path}/load", b"{")
    yield "unload", post(f"{path}/unload")
    yield "unload/infer", infer("single", *FLAT)
    yield "unload/ready", get("/v2/models/single/ready")
    yield "unload/metadata", get("/v2/models/single")
    yield "unload/again", post(f"{path}/unload")
    yield "unload/unknown", post("/v2/repository/models/nope/unload")
    yield "unload/member", post("/v2/repository/models/add_sub/unload")
    yield "unload/ensemble-ready", get("/v2/models/ensemble/ready")
    yield "load/ensemble", post("/v2/repository/models/ensemble/load")
    yield "load/ensemble-infer", infer("ensemble", tensor("A"))
    yield "load/single", post(f"{path}/load")


def cases() -> Iterator[tuple[str, Case]]:
    """Name and request: "method", "path", "body"."""
    for part in (_generates, _sequences, _regions, _settings, _control):
        yield from part()
