"""The connection's own way and the ASGI way of inference answer alike."""

import asyncio
import gzip
import json
import zlib

import httpx
import numpy as np
import pytest

from oipserver.settings import CORSSettings, Settings
from oipserver.wire.rest import create_app
from tests.wire.rest.rest_world import planes, rest_server, run

SETTINGS = Settings(
    http_max_body_bytes=200_000,
    cors_settings=CORSSettings(allow_origins=["http://good"], expose_headers=["x-mine"]),
)
DOORS = ("connection", "asgi")


def on(door, test, settings=SETTINGS, **options):
    """Run ``test`` with a client of ``door``."""

    async def main():
        if door == "connection":
            async with (
                rest_server(settings, **options) as (_, port),
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"accept-encoding": ""}) as client,
            ):
                await test(client)
        else:
            async with planes(settings) as (data, control):
                app = create_app(data, control, settings, **options)
                transport = httpx.ASGITransport(app)
                async with httpx.AsyncClient(
                    transport=transport, base_url="http://x", headers={"accept-encoding": ""}
                ) as client:
                    await test(client)

    run(main)


def echo(value=1.5, **members):
    return {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [value]}], **members}


def text(word):
    return {"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES", "data": [word]}]}


GOOD_JSON = json.dumps(echo(id="7")).encode()
ECHOED = {
    "id": "7",
    "model_name": "echo",
    "outputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1.5]}],
}
BIG = json.dumps(echo(0.0) | {"inputs": [{"name": "x", "shape": [9000], "datatype": "INT8", "data": [0] * 9000}]})
LENGTH = "inference-header-content-length"

CASES = {
    "json": ("/v2/models/echo/infer", GOOD_JSON, {}, 200, ECHOED),
    "form content type": (
        "/v2/models/echo/infer",
        GOOD_JSON,
        {"content-type": "application/x-www-form-urlencoded"},
        200,
        ECHOED,
    ),
    "query is ignored": ("/v2/models/echo/infer?a=b/infer", GOOD_JSON, {}, 200, ECHOED),
    "version in the query": (
        "/v2/models/echo/infer?a=b&model_version=9",
        GOOD_JSON,
        {},
        404,
        "'echo' version 9",
    ),
    "version in the path goes first": (
        "/v2/models/echo/versions/8/infer?model_version=9",
        GOOD_JSON,
        {},
        404,
        "'echo' version 8",
    ),
    "gzip": ("/v2/models/echo/infer", gzip.compress(GOOD_JSON), {"content-encoding": "gzip"}, 200, ECHOED),
    "deflate": ("/v2/models/echo/infer", zlib.compress(GOOD_JSON), {"content-encoding": "deflate"}, 200, ECHOED),
    "deflate without zlib's header": (
        "/v2/models/echo/infer",
        zlib.compress(GOOD_JSON, wbits=-15),
        {"content-encoding": "deflate"},
        200,
        ECHOED,
    ),
    "identity": ("/v2/models/echo/infer", GOOD_JSON, {"content-encoding": "identity"}, 200, ECHOED),
    "broken gzip": ("/v2/models/echo/infer", b"nope", {"content-encoding": "gzip"}, 400, "failed to decompress"),
    "short gzip": (
        "/v2/models/echo/infer",
        gzip.compress(GOOD_JSON)[:-9],
        {"content-encoding": "gzip"},
        400,
        "ends too early",
    ),
    "gzip and more": (
        "/v2/models/echo/infer",
        gzip.compress(GOOD_JSON) + b"x",
        {"content-encoding": "gzip"},
        400,
        "more data behind",
    ),
    "gzip bomb": (
        "/v2/models/echo/infer",
        gzip.compress(bytes(50_000_000)),
        {"content-encoding": "gzip"},
        400,
        "exceeds the maximum allowed input size of 200000",
    ),
    "unknown encoding": (
        "/v2/models/echo/infer",
        GOOD_JSON,
        {"content-encoding": "br"},
        501,
        "Unsupported compression type",
    ),
    "too large": ("/v2/models/echo/infer", bytes(200_001), {}, 400, "request size of 200001 bytes exceeds"),
    "version": ("/v2/models/versioned/versions/v1.0/infer", GOOD_JSON, {}, 200, None),
    "unknown version": ("/v2/models/versioned/versions/9/infer", GOOD_JSON, {}, 404, "version 9 is not found"),
    "unknown model": ("/v2/models/nope/infer", GOOD_JSON, {}, 404, "Request for unknown model: 'nope' is not found"),
    "quoted name": ("/v2/models/..odd%20name/infer", GOOD_JSON, {}, 200, None),
    "blank name": ("/v2/models/%20/infer", GOOD_JSON, {}, 404, "is not found"),
    "backslash": ("/v2/models/a%5Cb/infer", GOOD_JSON, {}, 404, "is not found"),
    "slash": ("/v2/models/a%2Fb/infer", GOOD_JSON, {}, 404, ""),
    "no UTF-8": ("/v2/models/%ff%fe/infer", GOOD_JSON, {}, 404, "Request for unknown model"),
    "empty name": ("/v2/models//infer", GOOD_JSON, {}, 404, ""),
    "not JSON": ("/v2/models/echo/infer", b"{", {}, 400, "failed to parse the request JSON buffer"),
    "wrong shape": ("/v2/models/add/infer", GOOD_JSON, {}, 400, "unexpected inference input 'x'"),
    "the caller's mistake": ("/v2/models/broken/infer", json.dumps(text("client")).encode(), {}, 400, "caller did it"),
    "the model's mistake": ("/v2/models/broken/infer", json.dumps(text("boom")).encode(), {}, 500, "ValueError"),
    "bad length header": ("/v2/models/echo/infer", GOOD_JSON, {LENGTH: "abc"}, 400, "Unable to parse Inference-Header"),
    "length header too large": ("/v2/models/echo/infer", GOOD_JSON, {LENGTH: "9999"}, 400, "should be in range"),
    "no body": ("/v2/models/one/infer", b"", {}, 400, "the request for model 'one' has no body"),
    "raw, two inputs": (
        "/v2/models/add/infer",
        bytes(16),
        {"content-type": "application/octet-stream"},
        400,
        "Raw request must only have 1 input",
    ),
    "raw, wrong size": (
        "/v2/models/one/infer",
        bytes(15),
        {"content-type": "application/octet-stream"},
        400,
        "Expected a multiple of 16, got 15",
    ),
    "large": ("/v2/models/echo/infer", BIG.replace("[9000]", "[9000]" + " " * 80_000).encode(), {}, 200, None),
}


@pytest.mark.parametrize("door", DOORS)
def test_both_doors_answer_alike(door):
    async def test(client):
        for name, (path, body, headers, status, expected) in CASES.items():
            answer = await client.post(path, content=body, headers=headers)
            assert answer.status_code == status, (name, answer.text)
            assert answer.headers["content-type"] == "application/json", name
            if isinstance(expected, dict):
                assert answer.json() == expected, name
            elif isinstance(expected, str):
                assert list(answer.json()) == ["error"], name
                assert expected in answer.json()["error"], name

    on(door, test)


@pytest.mark.parametrize("door", DOORS)
def test_an_unsupported_encoding_names_the_supported_ones(door):
    async def test(client):
        answer = await client.post("/v2/models/echo/infer", content=b"x", headers={"content-encoding": "zstd"})
        assert answer.headers["accept-encoding"] == "gzip, deflate"

    on(door, test)


@pytest.mark.parametrize("door", DOORS)
def test_binary_data_both_ways_mixed_with_json(door):
    values = np.arange(30_000, dtype=np.float32)
    document = {
        "inputs": [
            {"name": "a", "shape": [30_000], "datatype": "FP32", "parameters": {"binary_data_size": values.nbytes}},
            {"name": "b", "shape": [1], "datatype": "INT8", "data": [3]},
        ],
        "parameters": {"binary_data_output": True},
        "outputs": [{"name": "b"}],
    }
    text = json.dumps(document).encode()

    async def test(client):
        answer = await client.post(
            "/v2/models/echo/infer", content=text + values.tobytes(), headers={LENGTH: str(len(text))}
        )
        assert answer.headers["content-type"] == "application/octet-stream"
        length = int(answer.headers[LENGTH])
        outputs = json.loads(answer.content[:length])["outputs"]
        assert outputs[0]["parameters"] == {"binary_data_size": values.nbytes}
        assert outputs[1]["data"] == [3]
        assert answer.content[length:] == values.tobytes()

    on(door, test)


@pytest.mark.parametrize("door", DOORS)
def test_a_raw_body_is_answered_in_binary(door):
    async def test(client):
        body = np.arange(8, dtype=np.float32).tobytes()
        for headers in ({"content-type": "application/octet-stream"}, {LENGTH: "0"}):
            answer = await client.post("/v2/models/one/infer", content=body, headers=headers)
            length = int(answer.headers[LENGTH])
            assert json.loads(answer.content[:length])["outputs"][0]["shape"] == [2, 4]
            assert answer.content[length:] == body

    on(door, test)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("accept", "encoding"),
    [("gzip", "gzip"), ("deflate", "deflate"), ("gzip;q=0, deflate", "deflate"), ("br", None), ("gzip;q=0", None)],
)
def test_answers_are_compressed_for_those_who_accept_it(door, accept, encoding):
    async def test(client):
        answer = await client.post("/v2/models/echo/infer", content=BIG, headers={"accept-encoding": accept})
        assert answer.json()["outputs"][0]["shape"] == [9000]
        if encoding is not None:
            assert answer.headers["content-encoding"] == encoding
            assert answer.headers["vary"].startswith("Accept-Encoding")
        small = await client.post("/v2/models/echo/infer", content=GOOD_JSON, headers={"accept-encoding": accept})
        assert "content-encoding" not in small.headers

    on(door, test)


@pytest.mark.parametrize("door", DOORS)
def test_nothing_is_compressed_when_that_is_off(door):
    async def test(client):
        answer = await client.post("/v2/models/echo/infer", content=BIG, headers={"accept-encoding": "gzip"})
        assert "content-encoding" not in answer.headers

    on(door, test, SETTINGS.model_copy(update={"gzip_enabled": False}))


@pytest.mark.parametrize("door", DOORS)
def test_headers_of_the_model_become_headers_of_the_answer_where_they_are_harmless(door):
    async def test(client):
        answer = await client.post("/v2/models/broken/infer", json=text("headers"))
        assert answer.status_code == 200
        assert answer.headers["x-mine"] == "yes"
        assert "x-evil" not in answer.headers
        assert int(answer.headers["content-length"]) == len(answer.content) > 1

    on(door, test)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("origin", "allowed"), [("http://good", True), ("http://bad", False)])
def test_browsers_may_read_what_the_settings_allow(door, origin, allowed):
    async def test(client):
        for answer in (
            await client.post("/v2/models/echo/infer", content=GOOD_JSON, headers={"origin": origin}),
            await client.get("/v2", headers={"origin": origin}),
        ):
            assert answer.status_code == 200
            assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
            assert "Origin" in answer.headers["vary"]
            assert answer.headers["access-control-expose-headers"] == "x-mine"

    on(door, test)


@pytest.mark.parametrize("door", DOORS)
def test_every_browser_may_read_where_all_origins_are_allowed(door):
    async def test(client):
        answer = await client.post("/v2/models/echo/infer", content=GOOD_JSON, headers={"origin": "http://any"})
        assert answer.headers["access-control-allow-origin"] == "*"

    on(door, test, Settings(cors_settings=CORSSettings(allow_origins=["*"])))


@pytest.mark.parametrize("door", DOORS)
def test_nan_is_null_where_the_settings_say_so(door):
    async def test(client):
        answer = await client.post(
            "/v2/models/echo/infer", content=json.dumps(echo(float("nan"))), headers={"content-type": "text/plain"}
        )
        assert answer.json()["outputs"][0]["data"] == [None]

    on(door, test, Settings(json_nan_as_null=True))


class Watcher:
    """Counts what it is told."""

    def __init__(self):
        self.open = 0
        self.rows = []

    def started(self):
        self.open += 1

    def finished(self, method, route_template, status, seconds):
        self.open -= 1
        assert seconds >= 0
        self.rows.append((method, route_template, status))


@pytest.mark.parametrize("door", DOORS)
def test_the_observer_hears_of_every_request_by_its_route(door):
    watcher = Watcher()

    async def test(client):
        await client.post("/v2/models/echo/infer", content=GOOD_JSON)
        await client.post("/v2/models/versioned/versions/9/infer", content=GOOD_JSON)
        await client.post("/v2/models/echo/infer", content=bytes(200_001))
        await client.get("/v2/models/echo/ready")
        await client.get("/whatever/1")
        await client.delete("/v2/models/echo")
        await asyncio.sleep(0)
        assert watcher.open == 0
        assert watcher.rows == [
            ("POST", "/v2/models/{model_name}/infer", 200),
            ("POST", "/v2/models/{model_name}/versions/{model_version}/infer", 404),
            ("POST", "/v2/models/{model_name}/infer", 400),
            ("GET", "/v2/models/{model_name}/ready", 200),
            ("GET", "__unknown__", 404),
            ("DELETE", "/v2/models/{model_name}", 405),
        ]

    on(door, test, observer=watcher)
