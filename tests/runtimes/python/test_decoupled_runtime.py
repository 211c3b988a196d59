"""Decoupled models of Triton's Python backend, loaded as a worker loads them."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest

from oipserver.errors import InternalError, OIPError
from tests.runtimes.python.code_of_models import DECOUPLED, ECHO, HEAD, ask, host_of, read, request


class TestDecoupled:
    def test_many_and_an_end(self, tmp_path: Path) -> None:
        code = """
class TritonPythonModel:
    def execute(self, requests):
        sender = requests[0].get_response_sender()
        for number in range(3):
            sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([number]))]))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        try:
            sender.send(pb_utils.InferenceResponse([]))
        except pb_utils.TritonModelException as error:
            assert "Response sender has been closed" in str(error)
        else:
            raise AssertionError("sent behind the end")
"""
        responses = asyncio.run(read(tmp_path, code))
        assert [(r.outputs[0].array.tolist(), r.final) for r in responses] == [([0], False), ([1], False), ([2], False)]

    def test_a_response_that_is_the_last(self, tmp_path: Path) -> None:
        code = """
class TritonPythonModel:
    async def execute(self, requests):
        requests[0].get_response_sender().send(pb_utils.InferenceResponse([]), flags=1)
"""
        (response,) = asyncio.run(read(tmp_path, code))
        assert response.final

    def test_execute_raises_after_some(self, tmp_path: Path) -> None:
        code = """
class TritonPythonModel:
    def execute(self, requests):
        requests[0].get_response_sender().send(pb_utils.InferenceResponse([]))
        raise RuntimeError("lost the thread")
"""
        with pytest.raises(InternalError, match="message: RuntimeError: lost the thread"):
            asyncio.run(read(tmp_path, code))

    def test_execute_returns_something(self, tmp_path: Path) -> None:
        code = "class TritonPythonModel:\n    def execute(self, requests): return []\n"
        with pytest.raises(InternalError, match="decoupled mode and the execute function must return None"):
            asyncio.run(read(tmp_path, code))

    def test_a_request_that_was_forgotten(self, tmp_path: Path) -> None:
        code = "class TritonPythonModel:\n    def execute(self, requests): requests[0].get_response_sender()\n"
        with pytest.raises(InternalError, match="let a request go without its final response"):
            asyncio.run(read(tmp_path, code))

    def test_a_request_that_is_executed_again(self, tmp_path: Path) -> None:
        code = """
class TritonPythonModel:
    def initialize(self, args): self.times = 0
    def execute(self, requests):
        self.times += 1
        sender = requests[0].get_response_sender()
        last = self.times == 3
        sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([self.times]))]), int(last))
        if not last:
            requests[0].set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
"""
        responses = asyncio.run(read(tmp_path, code))
        assert [response.outputs[0].array.tolist() for response in responses] == [[1], [2], [3]]

    def test_a_reader_that_leaves(self, tmp_path: Path) -> None:
        code = """
import threading
class TritonPythonModel:
    def execute(self, requests):
        self.thread = threading.Thread(target=self.send, args=(requests[0].get_response_sender(),))
        self.thread.start()
    def send(self, sender):
        self.sent = 0
        while not sender.is_cancelled():
            sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([1]))]))
            self.sent += 1
    def finalize(self):
        self.thread.join()
        assert self.sent < 2000
"""

        async def leave() -> None:
            host = host_of(tmp_path, HEAD + code, **DECOUPLED)
            await host.load()
            stream = host.stream(request(1))
            assert (await anext(stream)).outputs[0].array.tolist() == [1]
            await stream.aclose()
            async with asyncio.timeout(10):
                await host.unload()  # which waits for the thread

        asyncio.run(leave())
        gc.collect()

    def test_warm_up(self, tmp_path: Path) -> None:
        code = """
class TritonPythonModel:
    def initialize(self, args): self.seen = 0
    def execute(self, requests):
        self.seen += int(requests[0].inputs()[0].as_numpy()[0])
        out = pb_utils.Tensor("OUT", np.array([self.seen]))
        requests[0].get_response_sender().send(pb_utils.InferenceResponse([out]), 1)
"""
        warmup = [{"inputs": [{"name": "IN", "shape": [1], "datatype": "INT32", "data": [40]}]}]

        async def warm() -> Any:
            host = host_of(tmp_path, HEAD + code, **DECOUPLED)
            host._settings.warmup = warmup
            await host.load()
            (response,) = [response async for response in host.stream(request(2))]
            await host.unload()
            return response.outputs[0].array.tolist()

        assert asyncio.run(warm()) == [42]

    def test_one_answer_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(OIPError, match="decoupled"):
            asyncio.run(ask(tmp_path, ECHO, request(1), **DECOUPLED))
