"""The REST requests both servers get, in this order; knows no server."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

from .corpus_values import ECHOES, FAILURES, GOLDEN

Case = dict[str, Any]
JSON = {"content-type": "application/json"}


def tensor(name: str, datatype: str, shape: list[int], data: Any, content_type: str | None = None) -> dict[str, Any]:
    """An input as JSON."""
    found = {"name": name, "datatype": datatype, "shape": shape, "data": data}
    return found if content_type is None else {**found, "parameters": {"content_type": content_type}}


def text(value: str) -> dict[str, Any]:
    """One text as a request of its own."""
    return {"inputs": [tensor("text", "BYTES", [1], [value], "str")]}


X = tensor("x", "INT64", [1, 3], [1, 2, 3], "np")
TOTAL = "/v2/models/total/infer"


def post(path: str, body: Any = None, **more: Any) -> Case:
    """A POST; a body of bytes is sent as it is."""
    return {"method": "POST", "path": path, "body": body, **more}


def get(path: str) -> Case:
    """A GET."""
    return {"method": "GET", "path": path}


def cases() -> Iterator[tuple[str, Case]]:
    """Every case with its name, the ones that change what is loaded last."""
    yield from _told().items()
    yield from _infer().items()
    yield from _handlers().items()
    yield from _origins().items()
    yield from _cached().items()
    yield from _tables().items()
    for name in GOLDEN:
        yield f"rest/golden/{name}", post("/v2/models/golden/infer", text(name))
    for name, sent in ECHOES.items():
        yield f"rest/echo/{name}", post("/v2/models/echo/infer", {"inputs": [tensor("x", *sent)]})
    for way in (*FAILURES, "parameters"):
        yield f"rest/failing/{way}", post("/v2/models/failing/infer", text(way))
    yield from _malformed().items()
    yield from _streams().items()
    yield from _repository().items()


def _told() -> dict[str, Case]:
    found = {"live": "/v2/health/live", "ready": "/v2/health/ready", "server-metadata": "/v2"}
    for name in ("total", "echo"):
        found |= {f"metadata-{name}": f"/v2/models/{name}", f"ready-{name}": f"/v2/models/{name}/ready"}
    found |= {
        "metadata-version": "/v2/models/total/versions/v1",
        "ready-version": "/v2/models/total/versions/v1/ready",
        "metadata-unknown": "/v2/models/nope",
        "metadata-unknown-version": "/v2/models/total/versions/v9",
        "ready-unknown": "/v2/models/nope/ready",
        "docs": "/v2/docs",
        "model-docs": "/v2/models/total/docs",
        "model-docs-unknown": "/v2/models/nope/docs",
        "unknown-path": "/v2/nope",
        "wrong-method": TOTAL,
    }
    return {f"rest/told/{name}": get(path) for name, path in found.items()}


def _infer() -> dict[str, Case]:
    body = {"inputs": [X]}
    zipped = gzip.compress(json.dumps(body).encode())
    found = {
        "plain": post(TOTAL, body),
        "version": post("/v2/models/total/versions/v1/infer", body),
        "version-query": post(f"{TOTAL}?model_version=v1", body),
        "generate": post("/v2/models/total/generate", body),
        "id": post(TOTAL, {"id": "mine", **body}),
        "headers": post(TOTAL, {"id": "mine", **body}, headers={"x-foo": "Bar", "X-Request-Id": "42"}),
        "parameters": post("/v2/models/echo/infer", {"parameters": {"a": 1, "b": "c", "d": True}, "inputs": []}),
        "parameters-nested": post("/v2/models/echo/infer", {"parameters": {"e": [1]}, "inputs": []}),
        "input-parameters": post(
            "/v2/models/echo/infer", {"inputs": [{**tensor("x", "INT32", [1], [1]), "parameters": {"own": "yes"}}]}
        ),
        "outputs": post(TOTAL, {**body, "outputs": [{"name": "total", "shape": [1]}]}),
        "unknown-keys": post(TOTAL, {**body, "more": 1}),
        "by-metadata": post(TOTAL, {"inputs": [tensor("x", "INT64", [2, 3], [1, 2, 3, 4, 5, 6])]}),
        "other-name": post(TOTAL, {"inputs": [tensor("y", "INT64", [1, 3], [1, 2, 3])]}),
        "other-datatype": post(TOTAL, {"inputs": [tensor("x", "INT32", [1, 3], [1, 2, 3])]}),
        "json-suffix": post(TOTAL, json.dumps(body).encode(), headers={"content-type": "application/cloudevents+json"}),
        "gzip-body": post(TOTAL, zipped, headers={**JSON, "content-encoding": "gzip"}),
        "gzip-answer": post(
            "/v2/models/echo/infer",
            {"inputs": [tensor("x", "INT32", [400], list(range(400)), "np")]},
            headers={"accept-encoding": "gzip"},
        ),
        "handler": post("/differential/sum", [1, 2, 3]),
        "handler-raw": post("/differential/raw", {"a": 1}, seconds=5),
        "handler-invalid": post("/differential/sum", {"a": 1}),
        "batched": post("/v2/models/batched/infer", {"inputs": [tensor("x", "INT64", [2, 2], [1, 2, 3, 4])]}),
        "batched-parameters": post("/v2/models/batched/infer", {"parameters": {"a": "b"}, **body}),
        "batched-id": post("/v2/models/batched/infer", {"id": "mine", **body}),
        "batched-error": post("/v2/models/batched/infer", {"inputs": [tensor("x", "INT64", [1, 1], [-1])]}),
    }
    return {f"rest/infer/{name}": case for name, case in (found | _signatures()).items()}


def _signatures() -> dict[str, Case]:
    x, labels = tensor("x", "FP32", [1, 2], [1, 2]), tensor("labels", "BYTES", [1], ["a"])
    sent = {
        "signature": [x, tensor("labels", "BYTES", [2], ["a", "b"])],
        "signature-optional": [x, labels, tensor("scale", "FP32", [1], [3])],
        "signature-missing": [x],
        "signature-unknown": [tensor("x", "FP32", [1], [1]), labels, tensor("z", "FP32", [1], [1])],
    }
    found = {name: post("/v2/models/signature/infer", {"inputs": inputs}) for name, inputs in sent.items()}
    return found | {"signature-metadata": get("/v2/models/signature")}


def _handlers() -> dict[str, Case]:
    told, own = "/differential/told", {"x-own": "mine"}
    found = {
        "query": get(f"{told}?number=3&words=a&words=b"),
        "header": {**get(f"{told}?number=3"), "headers": own},
        "repeated-header": {**get(f"{told}?number=3"), "headers": [("x-own", "one"), ("x-own", "two")]},
        "query-missing": get(told),
        "query-invalid": get(f"{told}?number=three"),
        "wrong-method": post(f"{told}?number=3"),
        "trailing-slash": get(f"{told}/?number=3"),
        "no-body": post("/differential/sum"),
        "bad-json": post("/differential/sum", b"[1", headers=JSON),
        "own-error": post("/differential/fails", "own"),
        "http-error": post("/differential/fails", "http"),
        "value-error": post("/differential/fails", "value"),
    }
    return {f"rest/handler/{name}": case for name, case in found.items()}


def _origins() -> dict[str, Case]:
    """What browsers send."""
    here, elsewhere = {"origin": "http://a.test"}, {"origin": "http://b.test"}
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "x-own"}
    found = {
        "preflight": {"method": "OPTIONS", "path": TOTAL, "headers": here | asks},
        "preflight-elsewhere": {"method": "OPTIONS", "path": TOTAL, "headers": elsewhere | asks},
        "preflight-method": {
            "method": "OPTIONS",
            "path": TOTAL,
            "headers": here | {"access-control-request-method": "PUT"},
        },
        "preflight-header": {
            "method": "OPTIONS",
            "path": TOTAL,
            "headers": here | asks | {"access-control-request-headers": "x-other"},
        },
        "infer": post(TOTAL, {"inputs": [X]}, headers=here),
        "infer-elsewhere": post(TOTAL, {"inputs": [X]}, headers=elsewhere),
        "metadata": {**get("/v2"), "headers": here},
        "error": post("/v2/models/nope/infer", {"inputs": [X]}, headers=here),
    }
    return {f"rest/origin/{name}": case for name, case in found.items()}


def _cached() -> dict[str, Case]:
    path, other = "/v2/models/counting/infer", tensor("x", "INT64", [1, 1], [7])
    found = {
        "first": post(path, {"inputs": [X]}),
        "again": post(path, {"inputs": [X]}),
        "other-data": post(path, {"inputs": [other]}),
        "other-parameters": post(path, {"parameters": {"a": 1}, "inputs": [X]}),
        "other-headers": post(path, {"inputs": [X]}, headers={"x-own": "1"}),
        "own-id": post(path, {"id": "mine", "inputs": [X]}),
    }
    return {f"rest/cached/{name}": case for name, case in found.items()}


def _tables() -> dict[str, Case]:
    columns = [
        tensor("age", "INT32", [2], [34, 22]),
        tensor("name", "BYTES", [2], ["Jo", "Mi"], "str"),
        tensor("score", "FP64", [2], [0.5, None], "np"),
    ]
    path = "/v2/models/table/infer"
    found = {
        "frame": post(path, {"parameters": {"content_type": "pd"}, "inputs": columns}),
        "frame-json": post(
            path,
            {
                "parameters": {"content_type": "pd"},
                "inputs": [tensor("a", "BYTES", [2], ["[1, 2]", '{"k": 1}'], "pd_json")],
            },
        ),
        "array": post(path, {"parameters": {"content_type": "np"}, "inputs": columns[:1]}),
        "array-by-default": post(path, {"inputs": columns[:1]}),
        "array-of-two": post(path, {"parameters": {"content_type": "np"}, "inputs": columns[:2]}),
        "texts": post(path, {"parameters": {"content_type": "str"}, "inputs": columns[1:2]}),
    }
    return {f"rest/table/{name}": case for name, case in found.items()}


def _malformed() -> dict[str, Case]:
    body = json.dumps({"inputs": [X]}).encode()
    found = {
        "unknown-model": post("/v2/models/nope/infer", {"inputs": [X]}),
        "unknown-version": post("/v2/models/total/versions/v7/infer", {"inputs": [X]}),
        "unknown-version-query": post(f"{TOTAL}?model_version=v7", {"inputs": [X]}),
        "no-body": post(TOTAL),
        "bad-json": post(TOTAL, b"{", headers=JSON),
        "a-list": post(TOTAL, [1]),
        "no-inputs": post(TOTAL, {}),
        "empty-inputs": post(TOTAL, {"inputs": []}),
        "no-data": post(TOTAL, {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1]}]}),
        "no-shape": post(TOTAL, {"inputs": [{"name": "x", "datatype": "FP32", "data": [1]}]}),
        "bad-datatype": post(TOTAL, {"inputs": [tensor("x", "FLOAT", [1], [1])]}),
        "no-content-type": post(TOTAL, body),
        "form": post(TOTAL, body, headers={"content-type": "application/x-www-form-urlencoded"}),
        "trailing-slash": post(f"{TOTAL}/", {"inputs": [X]}),
        "bad-gzip": post(TOTAL, b"no gzip", headers={**JSON, "content-encoding": "gzip"}),
    }
    return {f"rest/malformed/{name}": case for name, case in found.items()}


def _streams() -> dict[str, Case]:
    words = "/v2/models/words"
    found = {
        "plain": post(f"{words}/infer_stream", text("a cat sat")),
        "generate": post(f"{words}/generate_stream", text("a cat")),
        "id": post(f"{words}/infer_stream", {"id": "mine", **text("a cat")}),
        "not-streaming": post("/v2/models/total/infer_stream", {"inputs": [X]}),
        "fails-at-once": post(f"{words}/infer_stream", text("stop")),
        "fails-later": post(f"{words}/infer_stream", text("a stop cat")),
        "unknown-model": post("/v2/models/nope/infer_stream", text("a")),
        "invalid": post(f"{words}/infer_stream", {}),
    }
    return {f"rest/stream/{name}": case for name, case in found.items()}


def _repository() -> dict[str, Case]:
    models, movable = "/v2/repository/models", "/v2/models/movable"
    found = {
        "index-no-body": post("/v2/repository/index"),
        "index": post("/v2/repository/index", {}),
        "index-ready": post("/v2/repository/index", {"ready": True}),
        "index-gzip": post("/v2/repository/index", {}, headers={"accept-encoding": "gzip"}),
        "load-unknown": post(f"{models}/nope/load"),
        "unload-unknown": post(f"{models}/nope/unload"),
        "unload": post(f"{models}/movable/unload"),
        "unloaded-infer": post(f"{movable}/infer", {"inputs": []}),
        "unloaded-metadata": get(movable),
        "unloaded-index": post("/v2/repository/index", {}),
        "unloaded-server-ready": get("/v2/health/ready"),
        "unload-again": post(f"{models}/movable/unload"),
        "load": post(f"{models}/movable/load"),
        "loaded-infer": post(f"{movable}/infer", {"inputs": []}),
        "reload": post(f"{models}/movable/load"),
        "reloaded-infer": post(f"{movable}/infer", {"inputs": []}),
        "unload-handlers": post(f"{models}/handlers/unload"),
        "unloaded-handler": post("/differential/sum", [1]),
        "load-handlers": post(f"{models}/handlers/load"),
        "loaded-handler": post("/differential/sum", [1]),
    }
    return {f"rest/repository/{name}": case for name, case in found.items()}
