"""One request to any server, over REST or gRPC, and how it ended; knows no server and compares nothing."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
from google.protobuf.message import Message

SECONDS = 30.0
#: Made once: httpx makes one for each request, which takes longer than the request.
_NO_TLS = ssl.create_default_context()


def send_rest(http: str, case: Mapping[str, Any], json_type: str = "") -> httpx.Response | str:
    """The response of the server at ``http`` to ``case``: method, path, and maybe body, headers and seconds; or the
    name of what went wrong where there was none.

    A body that is not bytes is sent as JSON, of the content type ``json_type`` where the case names none.
    """
    content, headers = case.get("body"), httpx.Headers(case.get("headers"))
    if content is not None and not isinstance(content, bytes):
        content = json.dumps(content).encode()
        if json_type:
            headers.setdefault("content-type", json_type)
    headers.setdefault("accept-encoding", "identity")
    url, seconds = f"http://{http}{case['path']}", case.get("seconds", SECONDS)
    try:
        return httpx.request(case["method"], url, content=content, headers=headers, timeout=seconds, verify=_NO_TLS)
    except (httpx.RemoteProtocolError, httpx.ReadTimeout) as error:
        return type(error).__name__


@dataclass(slots=True)
class GrpcOutcome:
    """How a call ended: its status, what that says, the messages that came, and what came after them."""

    status: str = "OK"
    details: str = ""
    messages: list[Message] = field(default_factory=list)
    trailers: Sequence[tuple[str, Any]] = ()


def send_grpc(
    address: str, stub: Any, name: str, messages: Iterable[Message], metadata: Mapping[str, str] | None = None
) -> GrpcOutcome:
    """Call the method ``name`` of ``stub``, a class, at ``address``: ModelStreamInfer with all of ``messages``, any
    other with the only one."""
    outcome, sent = GrpcOutcome(), tuple((metadata or {}).items())
    with grpc.insecure_channel(address) as channel:
        method = getattr(stub(channel), name)
        try:
            if name == "ModelStreamInfer":
                call = method(iter(messages), metadata=sent, timeout=SECONDS)
                outcome.messages.extend(call)
            else:
                (message,) = messages
                answer, call = method.with_call(message, metadata=sent, timeout=SECONDS)
                outcome.messages.append(answer)
            outcome.trailers = call.trailing_metadata() or ()
        except grpc.RpcError as error:
            outcome.status, outcome.details = error.code().name, error.details() or ""
            outcome.trailers = error.trailing_metadata() or ()
    return outcome
