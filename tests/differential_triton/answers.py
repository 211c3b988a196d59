"""What a server answered, as plain data that can be compared; knows no corpus and no differences."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
from google.protobuf.json_format import MessageToDict
from tritonclient.grpc import service_pb2_grpc

from tests.support.peer_process import Address
from tests.support.sent_requests import send_grpc, send_rest

RELEVANT = ("allow", "content-encoding", "inference-header-content-length", "content-type")
#: New in every answer: what tells times and counts of nanoseconds.
_CLOCKS = ("ns", "last_inference")

#: One answer by aspect: "status", "headers", "body" (of a success), "message" (of an error).
Answer = dict[str, Any]


def ask(address: Address, case: dict[str, Any]) -> Answer:
    """Send the request of ``case`` and note the answer."""
    return _ask_grpc(address, case) if "rpc" in case else _ask_rest(address, case)


def _ask_rest(address: Address, case: dict[str, Any]) -> Answer:
    response = send_rest(address.http, case)
    if isinstance(response, str):
        return {"status": response, "headers": {}, "body": None, "message": ""}
    body = _body(response)
    message = body.get("error", "") if isinstance(body, dict) else ""
    return {
        "status": response.status_code,
        "headers": {name: value for name, value in response.headers.items() if name in RELEVANT},
        "body": None if message else body,
        "message": _plain(message),
    }


def _body(response: httpx.Response) -> Any:
    kind = response.headers.get("content-type", "")
    if kind.startswith("text/event-stream"):
        return [_event(block) for block in response.text.split("\n\n") if block.strip()]
    if length := response.headers.get("inference-header-content-length"):
        head, tail = response.content[: int(length)], response.content[int(length) :]
        return {"head": tidy(json.loads(head)), "tail": tail.hex()}
    try:
        return tidy(json.loads(response.content))
    except ValueError:
        return response.text or None


def _event(block: str) -> Any:
    name, _, data = block.partition(": ")
    try:
        return [name, tidy(json.loads(data))]
    except ValueError:
        return block


def _ask_grpc(address: Address, case: dict[str, Any]) -> Answer:
    name, messages = case["rpc"], case["messages"] if "messages" in case else [case["message"]]
    outcome = send_grpc(address.grpc, service_pb2_grpc.GRPCInferenceServiceStub, name, messages)
    bodies = [tidy(MessageToDict(each, preserving_proto_field_name=True)) for each in outcome.messages]
    body: Any = bodies if name == "ModelStreamInfer" else bodies[0] if bodies else None
    return {"status": outcome.status, "headers": {}, "body": body, "message": _plain(outcome.details)}


def tidy(value: Any) -> Any:
    """``value`` without what is new in every answer, and models and extensions by their names."""
    if isinstance(value, dict):
        found = {name: tidy(each) for name, each in value.items() if name not in _CLOCKS}
        return {name: dict.fromkeys(each, "") if name == "extensions" else each for name, each in found.items()}
    if isinstance(value, list):
        rows = [tidy(each) for each in value]
        named = rows and all(isinstance(row, dict) and "name" in row and "datatype" not in row for row in rows)
        return {f"{row['name']} {row.get('version', '')}".rstrip(): row for row in rows} if named else rows
    return _plain(value) if isinstance(value, str) else value


def _plain(text: str) -> str:
    """``text`` without the ids that servers make for requests, and without places in their source."""
    return re.sub(r"0x[0-9a-f]{6,}|/[^\s\"']*/", "", text)
