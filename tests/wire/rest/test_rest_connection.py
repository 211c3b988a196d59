"""What happens on one connection: order, sizes, time, leaving, stopping."""

import asyncio
import json
import tracemalloc
from contextlib import AsyncExitStack

import numpy as np
import pytest

from oipserver.settings import Settings
from oipserver.wire.rest import PortInUseError
from oipserver.wire.rest import connection as connection_module
from tests.wire.rest.rest_world import RawClient, Slow, eventually, post, rest_server, run

GOOD = json.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1.5]}]}).encode()
NONE = b'{"inputs": []}'
INFER, SLOW = "/v2/models/echo/infer", "/v2/models/slow/infer"
GET = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"


def scenario(test, settings=None, *, companies=(False, True), **door):
    """Run ``test(client, server, port)`` on a fresh server, alone and in company: answers then leave together."""
    for company in companies:
        _scenario(test, settings, company, door)


def _scenario(test, settings, company, door):
    async def main():
        async with rest_server(settings) as (server, port), AsyncExitStack() as stack:
            if company:
                other = await RawClient.connect(port)
                stack.callback(other.close)
                other.send(GET)
                await other.answer()
            for name, value in door.items():
                setattr(server._door, name, value)
            client = await RawClient.connect(port)
            try:
                async with asyncio.timeout(20):
                    await test(client, server, port)
            finally:
                client.close()

    run(main)


def test_requests_of_one_connection_are_answered_in_their_order():
    async def test(client, server, port):
        client.send(post(SLOW, NONE) + post(INFER, GOOD) + GET + post("/v2/models/nope/infer", GOOD) + GET)
        await Slow.entered.wait()
        Slow.gate.set()
        statuses = [(await client.answer())[0::2] for _ in range(5)]
        assert [status for status, _ in statuses] == [200, 200, 200, 404, 200]
        assert b'"data":[1.5]' in statuses[1][1]
        assert statuses[2][1] == statuses[4][1] == b'{"live":true}'

    scenario(test)


def test_thousands_of_requests_behind_a_slow_one_are_all_answered():
    async def test(client, server, port):
        client.send(post(SLOW, NONE) + post(INFER, NONE) * 3000)
        await Slow.entered.wait()
        Slow.gate.set()
        for _ in range(3001):
            assert (await client.answer())[0] == 200

    scenario(test)


def test_a_request_may_come_byte_by_byte():
    async def test(client, server, port):
        for byte in post(INFER, GOOD):
            client.send(bytes([byte]))
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.answer())[0] == 200

    scenario(test)


@pytest.mark.parametrize("split", [0, 1, 70_000])
def test_a_large_body_arrives_whole_and_the_connection_goes_on(split):
    values = np.arange(100_000, dtype=np.float64)
    document = {
        "inputs": [
            {"name": "x", "shape": [100_000], "datatype": "FP64", "parameters": {"binary_data_size": values.nbytes}}
        ],
        "parameters": {"binary_data_output": True},
    }
    text = json.dumps(document).encode()
    request = post(INFER, text + values.tobytes(), f"Inference-Header-Content-Length: {len(text)}")

    async def test(client, server, port):
        for _ in range(2):
            at = request.index(b"\r\n\r\n") + 4 + split
            client.send(request[:at])
            await asyncio.sleep(0.02)
            client.send(request[at:])
            status, headers, body = await client.answer()
            assert status == 200
            assert body[int(headers["inference-header-content-length"]) :] == values.tobytes()
        client.send(request + post(INFER, GOOD) + GET)
        assert [len((await client.answer())[2]) > 13 for _ in range(3)] == [True, True, False]
        client.send(post(SLOW, NONE) + request)
        await Slow.entered.wait()
        Slow.gate.set()
        assert (await client.answer())[0] == 200
        assert (await client.answer())[2].endswith(values.tobytes())

    scenario(test)


def test_a_large_body_is_received_with_its_binary_data_aligned():
    async def test(client, server, port):
        seen = []
        begin = server._door.handler.begin

        def noting(name, version, headers, body):
            seen.append(np.frombuffer(body, np.uint8)[len(text) :].ctypes.data % 64)
            return begin(name, version, headers, body)

        server._door.handler.begin = noting
        text = b'{"inputs": [{"name": "x", "shape": [1], "datatype": "INT8", "data": [1]}]}'
        client.send(post(INFER, text + bytes(100_000), f"Inference-Header-Content-Length: {len(text)}"))
        assert b"unexpected additional input data" in (await client.answer())[2]
        assert seen == [0]

    scenario(test)


def test_a_huge_length_is_refused_before_memory_is_taken():
    async def test(client, server, port):
        tracemalloc.start()
        try:
            client.send(f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {2**62}\r\n\r\nxxxx".encode())
            status, headers, body = await client.answer()
            assert tracemalloc.get_traced_memory()[1] < 10_000_000
        finally:
            tracemalloc.stop()
        assert status == 400
        assert headers["connection"] == "close"
        assert b"exceeds the maximum allowed input size" in body

    scenario(test)


def test_a_refused_client_that_goes_on_sending_still_gets_its_answer_and_is_cut_off():
    async def test(client, server, port):
        client.send(f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n".encode())
        client.send(bytes(4_000_000))
        await client.writer.drain()
        assert (await client.answer())[0] == 400
        assert await client.closed()

    scenario(test, Settings(http_max_body_bytes=1000), linger=0.1)


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


CHUNKED = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


def test_a_chunked_body_is_put_together():
    async def test(client, server, port):
        pieces = b"".join(chunk(GOOD[index : index + 7]) for index in range(0, len(GOOD), 7))
        client.send(CHUNKED + pieces + b"0\r\n\r\n" + GET)
        assert (await client.answer())[0] == 200
        assert (await client.answer())[2] == b'{"live":true}'

    scenario(test)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(http_max_chunks=5), b"exceeds maximum of 5 non-empty chunks"),
        (Settings(http_max_body_bytes=50), b"maximum allowed input size of 50 bytes"),
    ],
)
def test_a_chunked_body_is_bounded_in_pieces_and_bytes(settings, message):
    async def test(client, server, port):
        client.send(CHUNKED + chunk(b"0123456789") * 9)
        status, _, body = await client.answer()
        assert status == 400
        assert message in body

    scenario(test, settings)


def test_exactly_the_allowed_number_of_pieces_passes():
    async def test(client, server, port):
        client.send(CHUNKED + chunk(GOOD[:9]) + chunk(GOOD[9:]) + b"0\r\n\r\n")
        assert (await client.answer())[0] == 200

    scenario(test, Settings(http_max_chunks=2))


def test_a_client_that_waits_for_leave_to_send_gets_it():
    async def test(client, server, port):
        head, _, body = post(INFER, GOOD, "Expect: 100-continue").partition(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(body)
        assert (await client.answer())[0] == 200

    scenario(test)


def test_no_leave_is_given_for_a_body_that_is_too_large():
    async def test(client, server, port):
        client.send(f"POST {INFER} HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9999\r\n\r\n".encode())
        assert (await client.answer())[0] == 400

    scenario(test, Settings(http_max_body_bytes=1000))


def test_an_offer_to_upgrade_is_ignored():
    async def test(client, server, port):
        headers = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk")
        for request in (post(INFER, GOOD, *headers), post("/v2/repository/index", b"{}", *headers), GET):
            client.send(request)
            assert (await client.answer())[0] == 200
        large = post(INFER, GOOD + b" " * 200_000, *headers)
        client.send(large[:300])
        await asyncio.sleep(0.01)
        client.send(large[300:] + large)
        for _ in range(2):
            assert (await client.answer())[0] == 200

    scenario(test)


@pytest.mark.parametrize(
    "request_bytes", [post(INFER, GOOD, "Connection: close"), post(INFER, GOOD).replace(b"1.1", b"1.0")]
)
def test_the_connection_ends_where_the_client_wants_it(request_bytes):
    async def test(client, server, port):
        client.send(request_bytes)
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert await client.closed()

    scenario(test)


@pytest.mark.parametrize(
    "junk",
    [
        b"NONSENSE\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        f"POST {INFER} HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n".encode(),
        CHUNKED + b"zz\r\n",
    ],
)
def test_what_is_no_request_gets_one_answer_and_the_end(junk):
    async def test(client, server, port):
        client.send(junk)
        status, headers, body = await client.answer()
        assert (status, headers["content-type"]) == (400, "application/json")
        assert json.loads(body) == {"error": "Invalid HTTP request received."}
        assert await client.closed()

    scenario(test)


def test_this_is_no_proxy():
    async def test(client, server, port):
        client.send(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n")
        assert (await client.answer())[0] == 400
        assert await client.closed()

    scenario(test)


def test_junk_behind_a_request_does_not_spoil_its_answer():
    async def test(client, server, port):
        client.send(post(SLOW, NONE) + b"NONSENSE\r\n\r\n")
        await Slow.entered.wait()
        Slow.gate.set()
        assert (await client.answer())[0] == 200
        assert await client.closed()

    scenario(test)


def test_endless_headers_are_refused():
    async def test(client, server, port):
        client.send(f"POST {INFER} HTTP/1.1\r\n".encode())
        for _ in range(40):
            client.send(b"X-Filler: " + b"a" * 10_000 + b"\r\n")
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.answer())[0] == 431

    scenario(test)


def test_a_path_that_is_no_ascii_is_not_found():
    async def test(client, server, port):
        client.send("POST /v2/models/é/infer HTTP/1.1\r\nContent-Length: 0\r\n\r\n".encode())
        assert (await client.answer())[0] in (400, 404)

    scenario(test)


def test_the_request_of_a_client_that_leaves_is_cancelled():
    async def test(client, server, port):
        client.send(post(SLOW, NONE))
        await Slow.entered.wait()
        client.close()
        await eventually(lambda: Slow.cancelled == 1 and not server._state.tasks)
        other = await RawClient.connect(port)
        other.send(post(INFER, GOOD))
        assert (await other.answer())[0] == 200
        other.close()

    scenario(test)


def test_a_client_that_leaves_amid_a_large_body_harms_nobody():
    async def test(client, server, port):
        client.send(f"POST {INFER} HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n".encode() + bytes(300_000))
        await client.writer.drain()
        client.close()
        await eventually(lambda: not server._state.connections)

    scenario(test, companies=(False,))


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"POST /v2/mod",
        f"POST {INFER} HTTP/1.1\r\nContent-Length: 9\r\n\r\n{{".encode(),
        f"POST {INFER} HTTP/1.1\r\nContent-Length: 900000\r\n\r\n{{".encode(),
        b"POST /v2/repository/index HTTP/1.1\r\nContent-Length: 9\r\n\r\n{",
    ],
    ids=["nothing", "half a head", "half a body", "half a large body", "half a body for the application"],
)
def test_a_client_that_falls_silent_is_let_go(beginning):
    async def test(client, server, port):
        server._door.idle_timeout = 0.05
        slow = await RawClient.connect(port)
        slow.send(beginning)
        assert await slow.closed()

    scenario(test)


def test_a_request_under_way_is_not_idleness():
    async def test(client, server, port):
        server._door.idle_timeout = 0.03
        slow = await RawClient.connect(port)
        slow.send(post(SLOW, NONE))
        await Slow.entered.wait()
        await asyncio.sleep(0.1)
        Slow.gate.set()
        assert (await slow.answer())[0] == 200

    scenario(test)


def test_an_answer_nobody_reads_stops_the_connection_and_then_ends_it():
    document = {
        "inputs": [
            {"name": "x", "shape": [8_000_000], "datatype": "INT8", "parameters": {"binary_data_size": 8_000_000}}
        ],
        "parameters": {"binary_data_output": True},
    }
    text = json.dumps(document).encode()
    request = post(INFER, text + bytes(8_000_000), f"Inference-Header-Content-Length: {len(text)}")

    async def test(client, server, port):
        server._door.idle_timeout = 0.2
        deaf = await RawClient.connect(port)
        deaf.writer.transport.pause_reading()
        deaf.send(request + post(INFER, GOOD))
        await eventually(lambda: len(server._state.connections) == 1)
        assert server._state.total_requests == 0
        deaf.close()

    scenario(test, companies=(False,))


def test_stopping_lets_requests_finish_and_closes_their_connections():
    async def test(client, server, port):
        idle = await RawClient.connect(port)
        idle.send(post(INFER, GOOD))
        await idle.answer()
        client.send(post(SLOW, NONE))
        await Slow.entered.wait()
        stopping = asyncio.ensure_future(server.stop(10))
        assert await idle.closed()
        with pytest.raises(ConnectionRefusedError):
            await RawClient.connect(port)
        Slow.gate.set()
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (200, "close")
        await stopping
        assert not server._state.connections

    scenario(test)


def test_stopping_cuts_off_what_does_not_finish_in_time():
    async def test(client, server, port):
        client.send(post(SLOW, NONE))
        await Slow.entered.wait()
        await server.stop(0.05)
        assert Slow.cancelled == 1
        assert not server._state.connections
        assert not server._state.tasks
        await server.stop(1)  # a second time does nothing

    scenario(test)


def test_a_port_in_use_is_one_clear_line():
    async def test(client, server, port):
        other = type(server).__new__(type(server))
        other.__dict__.update(server.__dict__)
        other._settings = server._settings.model_copy(update={"http_port": port})
        with pytest.raises(PortInUseError) as caught:
            await other.start()
        assert f"cannot listen on 127.0.0.1:{port}" in caught.value.message
        assert "--http-port" in caught.value.message
        assert "\n" not in caught.value.message

    scenario(test)


def test_a_prefix_that_the_proxy_left_on_is_understood():
    async def test(client, server, port):
        for prefix in ("/pre", ""):
            client.send(post(prefix + INFER, GOOD) + f"GET {prefix}/v2 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert (await client.answer())[0] == 200
            assert (await client.answer())[0] == 200

    scenario(test, Settings(root_path="/pre"))


def test_a_bug_in_taking_a_request_is_a_500_without_details(monkeypatch, caplog):
    def fails(path):
        raise RuntimeError("secret")

    monkeypatch.setattr(connection_module, "match_infer_path", fails)

    async def test(client, server, port):
        client.send(post(INFER, GOOD))
        status, _, body = await client.answer()
        assert (status, json.loads(body)) == (500, {"error": "internal server error"})

    scenario(test)
    assert "secret" in caplog.text


def test_no_memory_for_a_body_is_a_reason_to_try_later(monkeypatch):
    def fails(self, size):
        raise MemoryError

    monkeypatch.setattr(connection_module.InferCycle, "make_room", fails)

    async def test(client, server, port):
        client.send(post(INFER, bytes(100_000)))
        status, headers, _ = await client.answer()
        assert (status, headers["retry-after"]) == (429, "1")

    scenario(test)


def test_a_connection_that_is_shut_down_first_writes_what_is_held_back():
    async def main():
        async with rest_server() as (server, port):
            clients = [await RawClient.connect(port) for _ in range(2)]
            for client in clients:
                for _ in range(8):  # until the model is known to be quick, and runs in the callback itself
                    client.send(post(INFER, GOOD))
                    await client.answer()
            connections = list(server._state.connections)
            for connection in connections:
                connection.data_received(post(INFER, GOOD))
            assert server._door.outbox._answers
            for connection in connections:
                connection.shutdown()
            assert [(await client.answer())[0] for client in clients] == [200, 200]
            assert all([await client.closed() for client in clients])

    run(main)


def test_many_clients_at_once_each_get_their_own_answer():
    async def main():
        async with rest_server() as (_, port):
            clients = [await RawClient.connect(port) for _ in range(40)]
            for round_ in range(5):
                for number, client in enumerate(clients):
                    tensor = {"name": "x", "shape": [1], "datatype": "FP32", "data": [number + 100 * round_]}
                    client.send(post(INFER, json.dumps({"inputs": [tensor]}).encode()) * 3)
                for number, client in enumerate(clients):
                    for _ in range(3):
                        body = (await client.answer())[2]
                        assert json.loads(body)["outputs"][0]["data"] == [number + 100 * round_]
            for client in clients:
                client.close()

    run(main)


def test_zeros_before_a_length_are_no_servers_mistake():
    async def test(client, server, port):
        for path in (INFER, "/v2/repository/index"):
            client.send(post(path, GOOD).replace(b"Content-Length: ", b"Content-Length: " + b"0" * 5000))
            assert (await client.answer())[0] == 200

    scenario(test)
