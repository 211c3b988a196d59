"""What one inference request costs, counted rather than timed: at most one thread hop, no pydantic, no list of Python
floats on the binary path, and no more calls than there were."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from types import FrameType
from typing import Any

import numpy as np

from tests.wire.rest.rest_world import RawClient, post, rest_server, run

PATH = "/v2/models/add/infer"
# Calls of Python functions from the first byte of a request to the last of its answer, and a few to spare. Each costs
# some hundredths of what onnxruntime needs for a tiny graph: whoever adds more should know it.
MOST_CALLS_JSON = 99
MOST_CALLS_BINARY = 117


class Walk:
    """Everything called in this thread while it is on."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.native: Counter[str] = Counter()
        self.float_lists: list[str] = []

    def __enter__(self) -> Walk:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, called: Any) -> None:
        if event == "call":
            self.calls[f"{frame.f_code.co_filename}:{frame.f_code.co_name}"] += 1
        elif event == "c_call":
            owner = getattr(called, "__self__", None)
            module = getattr(called, "__module__", None) or type(owner).__module__
            self.native[f"{module}:{called.__name__}"] += 1
        elif event == "return":
            for name, value in frame.f_locals.items():
                if type(value) is list and value and type(value[0]) is float:
                    self.float_lists.append(f"{frame.f_code.co_name}: {name}")

    def count(self, *parts: str) -> int:
        """Calls whose place or name holds all of ``parts``."""
        both = [*self.calls.items(), *self.native.items()]
        return sum(times for call, times in both if all(part in call for part in parts))


def json_request() -> bytes:
    tensors = [
        {"name": name, "shape": [1, 16], "datatype": "FP32", "data": [0.5] * 16} for name in ("INPUT0", "INPUT1")
    ]
    return post(PATH, json.dumps({"inputs": tensors}).encode())


def binary_request() -> bytes:
    raw = np.full((1, 16), 0.5, np.float32).tobytes()
    parameters = {"binary_data_size": len(raw)}
    tensors = [
        {"name": name, "shape": [1, 16], "datatype": "FP32", "parameters": parameters} for name in ("INPUT0", "INPUT1")
    ]
    head = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
    return post(PATH, head + raw * 2, f"Inference-Header-Content-Length: {len(head)}")


async def asked(client: RawClient, request: bytes) -> bytes:
    client.send(request)
    status, _, body = await client.answer()
    assert status == 200
    return body


async def walk_inline(request: bytes) -> tuple[Walk, bytes]:
    """The walk of ``request`` to a model that is known to be quick, on a warm connection, and its answer."""
    async with rest_server() as (server, port):
        client = await RawClient.connect(port)
        executor = server._door.handler._data_plane._registry.find("add").executor
        while not executor.runs_inline:
            await asked(client, request)
        for _ in range(3):
            await asked(client, request)
        (connection,) = server._state.connections
        loop = asyncio.get_running_loop()
        walked: asyncio.Future[Walk] = loop.create_future()

        def walk() -> None:  # as the transport calls it: no task is current
            with Walk() as seen:
                connection.data_received(request)
            walked.set_result(seen)

        loop.call_soon(walk)
        seen = await walked
        status, _, body = await client.answer()
        assert status == 200
        return seen, body


def test_a_json_request_to_a_quick_model_is_one_walk_of_few_calls() -> None:
    async def main() -> None:
        seen, body = await walk_inline(json_request())
        assert json.loads(body)["outputs"][0]["data"] == [1.0] * 16
        assert seen.count("infer_tensors") == 1
        assert seen.count("pydantic") == 0
        assert seen.count("executor/threads", ":run") == seen.count("concurrent/futures", "submit") == 0
        assert seen.count("create_task") == seen.count("create_future") == seen.count(":call_soon") == 0
        assert seen.count("tolist") == 0
        assert sum(seen.calls.values()) <= MOST_CALLS_JSON, seen.calls

    run(main)


def test_a_binary_request_never_becomes_a_list_of_floats() -> None:
    async def main() -> None:
        seen, body = await walk_inline(binary_request())
        assert body.endswith(np.full(16, 1, np.float32).tobytes() + bytes(64))
        assert seen.count("infer_tensors") == 1
        assert seen.float_lists == []
        assert seen.count("tolist") == seen.count(":pack_into") == 0
        assert seen.count("pydantic") == 0
        assert seen.count("executor/threads", ":run") == seen.count("concurrent/futures", "submit") == 0
        assert sum(seen.calls.values()) <= MOST_CALLS_BINARY, seen.calls

    run(main)


def test_the_walk_sees_lists_of_floats_where_there_are_some() -> None:
    async def main() -> None:
        seen, _ = await walk_inline(json_request())
        assert seen.float_lists != []

    run(main)


def test_a_model_not_known_to_be_quick_costs_one_hop_to_a_thread() -> None:
    async def main() -> None:
        async with rest_server() as (server, port):
            client = await RawClient.connect(port)
            assert not server._door.handler._data_plane._registry.find("add").executor.runs_inline
            with Walk() as seen:
                await asked(client, json_request())
            assert seen.count("executor/threads", ":run") == 1
            assert seen.count("pydantic") == 0

    run(main)
