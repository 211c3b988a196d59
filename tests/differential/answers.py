"""What a server answered, as plain data that can be compared; knows no corpus and no differences."""

from __future__ import annotations

import json
from typing import Any

import httpx
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from oipserver.compat.grpc import dataplane_pb2_grpc
from tests.support.peer_process import Address
from tests.support.sent_requests import send_grpc, send_rest

#: Response headers that mean something to a client; the rest is the business of HTTP libraries.
RELEVANT = ("allow", "location", "content-encoding", "vary")
PREFIXES = ("x-", "ce-", "access-control-")
GENERATED_HEADERS = ("ce-id", "ce-requestid")

#: One answer by aspect: "status", "type" (content type), "headers" or "trailers", "body".
Answer = dict[str, Any]


def ask(address: Address, case: dict[str, Any]) -> Answer:
    """Send the request of ``case`` and note the answer."""
    return _ask_grpc(address, case) if "rpc" in case else _ask_rest(address, case)


# -- REST ------------------------------------------------------------------------------------------------------------


def _ask_rest(address: Address, case: dict[str, Any]) -> Answer:
    own_id = isinstance(case.get("body"), dict) and "id" in case["body"]
    response = send_rest(address.http, case, "application/json")
    if isinstance(response, str):
        return {"status": response, "type": "", "headers": {}, "body": ""}
    return {
        "status": response.status_code,
        "type": response.headers.get("content-type", ""),
        "headers": _relevant(response.headers, own_id, address),
        "body": _body(response, own_id),
    }


def _relevant(headers: httpx.Headers, own_id: bool, address: Address) -> dict[str, str]:
    found = {name: value for name, value in headers.items() if name in RELEVANT or name.startswith(PREFIXES)}
    if "location" in found:
        found["location"] = found["location"].replace(address.http, "here")
    return found if own_id else {n: "generated" if n in GENERATED_HEADERS else v for n, v in found.items()}


def _body(response: httpx.Response, own_id: bool) -> Any:
    kind = response.headers.get("content-type", "")
    if kind.startswith("application/json"):
        return _tidy(response.json(), own_id)
    if kind.startswith("text/event-stream"):
        return [_event(block, own_id) for block in response.text.split("\n\n") if block]
    return "a page" if kind.startswith("text/html") else response.text


def _event(block: str, own_id: bool) -> dict[str, Any]:
    fields = dict(line.split(": ", 1) for line in block.splitlines())
    return {**fields, "data": _tidy(json.loads(fields["data"]), own_id)}


def _tidy(body: Any, own_id: bool) -> Any:
    """``body`` without what is new in every answer: ids that were generated, the order of models in an index."""
    if isinstance(body, list) and all(isinstance(row, dict) for row in body):
        return sorted(body, key=lambda row: str(row.get("name")))
    if not isinstance(body, dict) or own_id:
        return body
    found = {name: value for name, value in body.items() if name != "id"}
    headers = (found.get("parameters") or {}).get("headers")
    if headers:
        masked = {n: "generated" if n.lower() in GENERATED_HEADERS else v for n, v in headers.items()}
        found["parameters"] = {**found["parameters"], "headers": masked}
    return found


# -- gRPC ------------------------------------------------------------------------------------------------------------


def _ask_grpc(address: Address, case: dict[str, Any]) -> Answer:
    name, message, own_id = case["rpc"], case["message"], bool(getattr(case["message"], "id", ""))
    stub = dataplane_pb2_grpc.GRPCInferenceServiceStub
    outcome = send_grpc(address.grpc, stub, name, [message], case.get("metadata"))
    bodies, details = [_grpc_body(each, own_id) for each in outcome.messages], outcome.details
    body: Any = {"answers": bodies, "details": details} if name == "ModelStreamInfer" else details or bodies[0]
    return {"status": outcome.status, "trailers": _trailers(outcome.trailers, own_id), "body": body}


def _grpc_body(message: Message, own_id: bool) -> dict[str, Any]:
    body = MessageToDict(message, preserving_proto_field_name=True)
    if "models" in body:
        body["models"].sort(key=lambda row: row["name"])
    return body if own_id else {name: value for name, value in body.items() if name != "id"}


def _trailers(trailers: Any, own_id: bool) -> dict[str, str]:
    found = {name: value for name, value in trailers if name.startswith(PREFIXES)}
    return found if own_id else {n: "generated" if n in GENERATED_HEADERS else v for n, v in found.items()}
