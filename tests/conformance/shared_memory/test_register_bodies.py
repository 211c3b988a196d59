"""What may be wrong with the body of a register request over REST, and with the way to it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process
SYSTEM, CUDA = "/v2/systemsharedmemory", "/v2/cudasharedmemory"


def post(server: ServerProcess, path: str, **options: Any) -> tuple[int, str]:
    answer = httpx.post(server.url(path), timeout=30, **options)
    return answer.status_code, answer.json()["error"] if answer.content else ""


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        (SYSTEM, {"byte_size": 1}, "Shared memory register request has no 'key' field"),
        (SYSTEM, {"key": "/k"}, "Shared memory register request has no 'byte_size' field"),
        (SYSTEM, {"key": 1, "byte_size": 1}, "Unable to parse 'key': expected a string"),
        (SYSTEM, {"key": "/k", "byte_size": -1}, "Unable to parse 'byte_size'"),
        (SYSTEM, {"key": "/k", "byte_size": 1, "offset": "0"}, "Unable to parse 'offset'"),
        (SYSTEM, {"key": "/k", "byte_size": 10**30}, "Unable to parse 'byte_size'"),
        (SYSTEM, {"key": "/k", "byte_size": 2**64 - 1, "offset": 1}, "Integer overflow detected"),
        (SYSTEM, ["key"], "expected a JSON object"),
        (CUDA, {}, "Shared memory register request has no 'raw_handle' field"),
        (CUDA, {"raw_handle": "AAAA"}, "expected an object with a string 'b64', got a string"),
        (CUDA, {"raw_handle": {"b64": "?"}}, "'b64' is not base64"),
        (CUDA, {"raw_handle": {"b64": "AAAA"}}, "Shared memory register request has no 'device_id' field"),
        (CUDA, {"raw_handle": {"b64": "AAAA"}, "device_id": 0, "byte_size": 1}, "GPUs not supported"),
    ],
)
def test_wrong_bodies(layout_server: ServerProcess, path: str, body: Any, text: str) -> None:
    code, message = post(layout_server, f"{path}/region/r/register", json=body)
    assert code == 400
    assert text in message


def test_ways_that_lead_nowhere(layout_server: ServerProcess) -> None:
    assert post(layout_server, f"{SYSTEM}/region/r/register", content=b"{")[0] == 400
    assert post(layout_server, f"{SYSTEM}/register", json={})[0] == 404
    assert post(layout_server, f"{SYSTEM}/region//register", json={})[0] == 404
    assert httpx.get(layout_server.url(f"{SYSTEM}/region/a%2Fb/status")).status_code == 404
    assert post(layout_server, f"{CUDA}/unregister") == (200, "")
    assert post(layout_server, f"{SYSTEM}/region/nope/unregister", content=b"") == (200, "")
    assert httpx.get(layout_server.url(f"{SYSTEM}/status")).json() == []
