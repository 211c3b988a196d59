"""Differences that are in nearly every answer, each taken out by a rule of its own so that the rest can be compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from .answers import GENERATED_HEADERS, Answer

#: Takes the answers of MLServer and of oipserver, and changes them so that they no longer differ in this.
Rule = Callable[[Answer, Answer], None]


def _objects(answer: Answer) -> Iterator[dict[str, Any]]:
    """Each inference response in ``answer``: the body, or the events or messages of a stream."""
    body = answer["body"]
    found = body.get("answers", [body]) if isinstance(body, dict) else body if isinstance(body, list) else []
    for each in found:
        if isinstance(each, dict):
            yield each["data"] if isinstance(each.get("data"), dict) else each


def _is_grpc(answer: Answer) -> bool:
    return "trailers" in answer


def empty_parameters(theirs: Answer, _ours: Answer) -> None:
    """REST answers of MLServer have ``"parameters": {}`` where there are none."""
    for each in _objects(theirs):
        if "model_name" in each and each.get("parameters") == {}:
            del each["parameters"]


def stream_headers(theirs: Answer, ours: Answer) -> None:
    """MLServer puts the headers of a stream into each event."""
    if not (theirs.get("type") or "").startswith("text/event-stream"):
        return
    for each in _objects(theirs):
        (each.get("parameters") or {}).pop("headers", None)
        if each.get("parameters") == {}:
            del each["parameters"]
    ours["headers"] = {n: v for n, v in ours["headers"].items() if not n.startswith(("ce-", "x-accel-"))}


def empty_contents(theirs: Answer, _ours: Answer) -> None:
    """MLServer sends empty typed contents beside raw ones."""
    for each in _objects(theirs):
        if "raw_output_contents" in each:
            for output in each["outputs"]:
                if output.get("contents") == {}:
                    del output["contents"]


def grpc_ids(theirs: Answer, ours: Answer) -> None:
    """oipserver gives ids to gRPC requests too."""
    if _is_grpc(ours) and "ce-id" not in theirs["trailers"]:
        ours["trailers"] = {n: v for n, v in ours["trailers"].items() if n not in GENERATED_HEADERS or v != "generated"}


def index_versions(_theirs: Answer, ours: Answer) -> None:
    """The REST index of oipserver names a version that is not there by an empty text."""
    for each in _objects(ours):
        if "state" in each and each.get("version") == "" and not _is_grpc(ours):
            del each["version"]


def worker_prefix(theirs: Answer, _ours: Answer) -> None:
    """MLServer's workers put the class of an exception before its text."""
    body = theirs["body"]
    if isinstance(body, str):
        theirs["body"] = _PREFIX.sub("", body)
    elif isinstance(body, dict) and isinstance(body.get("error"), str):
        body["error"] = _PREFIX.sub("", body["error"])


def vary_origin(theirs: Answer, ours: Answer) -> None:
    """oipserver says on every answer that it depends on the origin, where settings make it so."""
    named = ours.get("headers", {}).get("vary", "").split(", ")
    if "Origin" in named and "Origin" not in theirs["headers"].get("vary", ""):
        named.remove("Origin")
        ours["headers"] = {**ours["headers"], "vary": ", ".join(named)}
        if not named:
            del ours["headers"]["vary"]


_PREFIX = re.compile(r"^(?:builtins|mlserver)(?:\.\w+)+: ")

RULES: dict[str, Rule] = {
    "empty-parameters": empty_parameters,
    "stream-headers": stream_headers,
    "empty-contents": empty_contents,
    "grpc-ids": grpc_ids,
    "index-versions": index_versions,
    "worker-prefix": worker_prefix,
    "vary-origin": vary_origin,
}
