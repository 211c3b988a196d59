"""Bodies that are nothing but tensor data: what they are taken for, and that finding out costs no memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from oipserver.settings import Settings
from oipserver.wire.rest.handler import InferHandler
from oipserver.wire.rest.headers import HeaderView

from .rest_world import planes, run

OCTETS = HeaderView([(b"content-type", b"application/octet-stream")])


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_data_that_look_like_json_at_first_are_searched_where_they_lie(kind: type) -> None:
    size = 16 << 20
    body = kind(b"{" + bytes(size - 1))

    async def test() -> None:
        async with planes(Settings()) as (data, _):
            handler = InferHandler(data, Settings())
            tracemalloc.start()
            try:
                reply = await handler.handle("one", "", OCTETS, body)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert reply.status == 200
        assert peak < size / 2

    run(test)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_json_is_read_as_such_whatever_it_is_called(kind: type) -> None:
    text = b' {"parameters": {}, "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}'

    async def test() -> None:
        async with planes(Settings()) as (data, _):
            reply = await InferHandler(data, Settings()).handle("one", "", OCTETS, kind(text))
        assert reply.status == 200
        assert b'"data":[1.0,2.0,3.0,4.0]' in b"".join(reply.buffers)

    run(test)


def test_text_with_a_brace_is_a_raw_text() -> None:
    async def test() -> None:
        async with planes(Settings()) as (data, _):
            reply = await InferHandler(data, Settings()).handle("text", "", OCTETS, b'{"input": 1}')
        assert reply.status == 200
        assert bytes(reply.buffers[-1]) == np.uint32(12).tobytes() + b'{"input": 1}'

    run(test)
