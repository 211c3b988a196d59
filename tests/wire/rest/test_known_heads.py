"""Heads that came before: whatever arrives, a connection that remembers does what one that parses everything does."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from uvicorn.config import Config
from uvicorn.server import ServerState

from oipserver.settings import Settings
from oipserver.wire.rest import connection as connection_module
from oipserver.wire.rest.connection import RestConnection
from oipserver.wire.rest.door import InferDoor
from oipserver.wire.rest.handler import InferHandler
from oipserver.wire.rest.head import Head
from oipserver.wire.rest.headers import HeaderView
from oipserver.wire.rest.known_heads import KnownHeads

from .rest_world import planes, post, run

INFER = "/v2/models/echo/infer"
GOOD = b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1.5]}]}'
LONGER = b'{"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1.5, 2.25]}]}'


class Sink(asyncio.Transport):
    """Keeps what is written, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0


class Recording(InferHandler):
    """An InferHandler that notes what it was asked."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.asked: list[tuple[str, str, list[tuple[bytes, bytes]], bytes]] = []

    def begin(self, name: str, version: str, headers: HeaderView, body: Any) -> Any:
        self.asked.append((name, version, list(headers.raw), bytes(body)))
        return super().begin(name, version, headers, body)


class Forgetful(KnownHeads):
    """Knows nothing."""

    def match(self, data: bytes) -> None:
        return None


async def live_through(
    pieces: list[bytes], plane: Any, kind: type[KnownHeads], limit: int
) -> tuple[list[Any], bytes, bool, int]:
    """What a connection that is given ``pieces`` asks, writes and does, and how many pieces its parser did not see."""
    settings = Settings(http_max_body_bytes=limit)
    handler = Recording(plane, settings)
    state, loop, sink = ServerState(), asyncio.get_running_loop(), Sink()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = Config(app, lifespan="off", ws="none", log_config=None, date_header=False, server_header=False)
    config.load()
    connection = RestConnection(config, state, InferDoor(handler, limit, 8), loop, lambda: None)
    heads = kind(min(connection_module.LARGE, limit))
    connection._heads = heads
    unparsed = 0
    connection.connection_made(sink)
    for piece in pieces:
        if sink.closed:
            break
        unparsed += heads.match(piece) is not None
        connection.data_received(piece)
        while state.tasks or (connection.pipeline and not sink.closed):  # noqa: ASYNC110
            await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    closed = sink.closed
    connection.connection_lost(None)
    return handler.asked, re.sub(rb"date: [^\r]*\r\n", b"", sink.written), closed, unparsed


def compare(pieces: list[bytes], limit: int = 1 << 20) -> int:
    """Assert that remembering changes nothing; returns how many pieces needed no parser."""
    found: list[tuple[list[Any], bytes, bool, int]] = []

    async def test() -> None:
        async with planes(Settings()) as (plane, _):
            await live_through([post(INFER, GOOD)] * 8, plane, Forgetful, limit)  # the model is known to be quick then
            found.extend([await live_through(pieces, plane, kind, limit) for kind in (KnownHeads, Forgetful)])

    run(test)
    assert found[0][:3] == found[1][:3]
    return found[0][3]


def test_a_head_that_came_before_needs_no_parser_whatever_the_length_of_its_body() -> None:
    headers = ("Content-Type: application/json", "X-Request: 7")
    pieces = [post(INFER, body, *headers) for body in (GOOD, LONGER, GOOD, b"{", LONGER)]
    assert compare(pieces) == 4


def test_as_many_heads_are_remembered_as_clients_with_a_few_models_send() -> None:
    models = [f"/v2/models/{name}/infer" for name in ("echo", "versioned", "nope", "add")]
    assert compare([post(model, GOOD) for _ in range(3) for model in models]) == 8


def test_a_connection_whose_heads_never_come_again_stops_to_remember_them() -> None:
    known = KnownHeads(1000)
    head = Head(INFER.encode(), ("echo", ""), HeaderView([(b"content-length", b"%d" % len(GOOD))]))
    each = [post(INFER, GOOD, f"X-Request: {number}") for number in range(33)]
    for data in each:
        known.learn(data, head)
    assert [known.match(data) is not None for data in each] == [False] * 28 + [True] * 4 + [False]


def test_bodies_beyond_the_limit_are_the_parsers() -> None:
    assert compare([post(INFER, GOOD), post(INFER, GOOD), post(INFER, LONGER)], limit=len(GOOD)) == 1


@pytest.mark.parametrize(
    "other",
    [
        post(INFER, GOOD) + post(INFER, GOOD),
        post(INFER, GOOD)[:-1],
        post(INFER, GOOD) + b"\r\n",
        post(INFER, GOOD).replace(b"HTTP/1.1", b"HTTP/1.0"),
        post(INFER, GOOD).replace(b"Content-Length: ", b"Content-Length: 0"),
        post(INFER, GOOD).replace(b"Content-Length: ", b"Content-Length: " + b"0" * 5000),
        post(INFER, GOOD).replace(b"Content-Length: ", b"Content-Length: +"),
        post(INFER, GOOD).replace(b"Content-Length: ", b"Content-Length: \xb2"),
        post(INFER, GOOD).replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\n"),
        post(INFER, GOOD).replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
        post(INFER, GOOD, "Connection: close"),
        post(INFER, GOOD, "Expect: 100-continue"),
        post(INFER, GOOD, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"),
        post(INFER, b""),
        b"\r\n" + post(INFER, GOOD),
        post(INFER, GOOD).replace(b"\r\n", b"\n"),
        post("/v2/health/live", GOOD),
    ],
)
def test_what_only_looks_like_a_known_head_is_parsed(other: bytes) -> None:
    plain = post(INFER, GOOD)
    compare([plain, plain, other, plain])
    compare([other, other, plain, other])


messages = st.builds(
    lambda path, body, headers, replaced: post(path, body, *headers).replace(*replaced),
    st.sampled_from([INFER, "/v2/models/nope/infer", "/v2/models/add/versions/1/infer", "/v2/health/live", "/else"]),
    st.sampled_from([GOOD, LONGER, b"", b"{}", b"\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n"]),
    st.lists(
        st.sampled_from(
            [
                "X: 1",
                "X: Content-Length: 3",
                "Connection: keep-alive",
                "Connection: close",
                "Expect: 100-continue",
                "Transfer-Encoding: chunked",
                "Content-Length: 78",
                "Content-Encoding: identity",
                "Upgrade: h2c",
                "Connection: upgrade",
                " folded: yes",
                "Content-Type: application/octet-stream",
            ]
        ),
        max_size=2,
    ),
    st.sampled_from(
        [(b"", b"")] * 6
        + [
            (b"POST", b"GET"),
            (b"HTTP/1.1", b"HTTP/1.0"),
            (b"Content-Length", b"content-length"),
            (b"Content-Length: ", b"Content-Length:"),
            (b"Content-Length: ", b"Content-Length: 00"),
            (b"\r\n", b"\n"),
            (b"Host: x\r\n", b""),
        ]
    ),
)


@st.composite
def conversations(draw: st.DrawFn) -> list[bytes]:
    """Pieces of what one client sends: few different messages, each several times, mostly whole."""
    kinds = draw(st.lists(messages, min_size=1, max_size=3))
    pieces: list[bytes] = []
    for message in draw(st.lists(st.sampled_from(kinds), min_size=2, max_size=8)):
        if draw(st.integers(0, 9)) < 7:
            pieces.append(message)
        elif pieces and draw(st.booleans()):
            pieces[-1] += message
        else:
            cut = draw(st.integers(1, len(message)))
            pieces += [message[:cut], message[cut:]]
    return [piece for piece in pieces if piece]


@examples(max_examples=150)
@given(conversations())
def test_remembering_changes_nothing(pieces: list[bytes]) -> None:
    compare(pieces)
