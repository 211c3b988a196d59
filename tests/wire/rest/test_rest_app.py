"""Every route but inference: what it says, and how it fails."""

import asyncio
import json
import re

import httpx
import pytest

from oipserver.protocol.names import EXPECTED_NAME
from oipserver.settings import Settings
from oipserver.wire.rest import docs as docs_module
from tests.wire.rest.rest_world import Slow, rest_server, run


def with_client(test, settings=None, **options):
    async def main():
        async with (
            rest_server(settings, **options) as (server, port),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
        ):
            await test(client, server)

    run(main)


def number(value):
    return {"inputs": [{"name": "n", "shape": [1], "datatype": "INT64", "data": [value]}]}


ANSWERS = [
    ("/v2", 200, {"name": "oipserver", "version": "1.2.3", "extensions": ["binary_tensor_data"]}),
    ("/v2/", 200, {"name": "oipserver", "version": "1.2.3", "extensions": ["binary_tensor_data"]}),
    ("/v2/health/live", 200, {"live": True}),
    ("/v2/health/ready", 200, {"ready": True}),
    ("/v2/models/add/ready", 200, {"name": "add", "ready": True}),
    ("/v2/models/versioned/versions/v1.0/ready", 200, {"name": "versioned", "ready": True}),
    (
        "/v2/models/versioned/versions/v1.0",
        200,
        {"name": "versioned", "versions": ["v1.0"], "platform": "", "inputs": [], "outputs": [], "parameters": {}},
    ),
    (
        "/v2/models/one",
        200,
        {
            "name": "one",
            "versions": [],
            "platform": "",
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
            "outputs": [],
            "parameters": {},
        },
    ),
    ("/v2/models/nope", 404, {"error": "Request for unknown model: 'nope' is not found"}),
    ("/v2/models/nope/ready", 404, {"error": "Request for unknown model: 'nope' is not found"}),
    ("/v2/models/%20", 404, {"error": f"Request for unknown model: ' ' is not found: {EXPECTED_NAME}"}),
    ("/v2/models/one/versions/2", 404, {"error": "Request for unknown model: 'one' version 2 is not found"}),
    ("/nowhere", 404, {"error": "Not Found"}),
    ("/openapi.json", 404, {"error": "Not Found"}),
    ("/docs", 404, {"error": "Not Found"}),
    ("/v2/docs/assets/README.md", 404, {"error": "Not Found"}),
    ("/v2/models/one/infer", 405, {"error": "Method Not Allowed"}),
    ("/metrics", 404, {"error": "Not Found"}),
]


def test_what_each_path_answers():
    async def test(client, server):
        for path, status, expected in ANSWERS:
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), path
            assert answer.json() == expected, path
            head = await client.head(path)
            assert (head.status_code, head.content) == (status, b""), path
        assert (await client.get("/v2/models/one/infer")).headers["allow"] == "POST"
        assert "date" in answer.headers

    with_client(test)


def test_the_start_page_says_where_things_are_and_they_are_there():
    async def test(client, server):
        places = (await client.get("/")).json()
        assert places["name"] == "oipserver"
        for name in ("metadata", "live", "ready", "models", "docs", "openapi"):
            assert (await client.get(places[name])).status_code == 200

    with_client(test)


def test_a_server_that_is_not_ready_says_so():
    async def test(client, server):
        answer = await client.get("/v2/health/ready")
        assert (answer.status_code, answer.json()) == (503, {"ready": False})
        assert (await client.get("/v2/health/live")).status_code == 200

    with_client(test, ready=lambda: False)


def test_the_list_of_models():
    async def test(client, server):
        rows = {row["name"]: row for row in (await client.get("/v2/models")).json()}
        assert rows["versioned"] == {"name": "versioned", "version": "v1.0", "state": "READY", "reason": ""}
        assert "add" in rows

    with_client(test)


def test_models_come_and_go_by_request():
    async def test(client, server):
        assert (await client.post("/v2/repository/models/one/unload", json={"parameters": {}})).status_code == 200
        assert (await client.get("/v2/models/one/ready")).status_code == 404
        rows = (await client.post("/v2/repository/index", content=b"")).json()
        assert [row["state"] for row in rows if row["name"] == "one"] != ["READY"]
        ready = (await client.post("/v2/repository/index", json={"ready": True})).json()
        assert "one" not in [row["name"] for row in ready]
        loaded = await client.post("/v2/repository/models/one/load")
        assert (loaded.status_code, loaded.content) == (200, b"")
        assert (await client.get("/v2/models/one/ready")).status_code == 200

    with_client(test)


@pytest.mark.parametrize(
    ("path", "content", "status", "message"),
    [
        ("index", b"[]", 400, "expected a JSON object, got a list"),
        ("index", b"{", 400, "failed to parse"),
        ("index", b'{"ready": 1}', 400, "'ready'"),
        ("index", b'{"a": "%s"}' % (b"x" * 2000), 400, "maximum allowed input size"),
        ("models/nope/load", b"", 404, "failed to load 'nope', failed to poll from model repository"),
        ("models/one/load", b'{"parameters": {"config": 7}}', 400, "attempt to access JSON non-string as string"),
        ("models/one/load", b'{"parameters": {"config": "{"}}', 400, "model repository: 'config' is"),
        ("models/one/load", b'{"parameters": {"file:1/x": "YQ=="}}', 400, "without 'config'"),
        ("models/one/load", b'{"parameters": {"file:1/x": "a"}}', 400, "expected base64"),
        ("models/one/load", b'{"parameters": {"file:1/../../x": "YQ=="}}', 400, "must stay within model directory."),
        ("models/one/load", b'{"parameters": {"what": 1}}', 400, "unrecognized load parameter 'what'."),
        ("models/one/load", b'{"parameters": 1}', 400, "'parameters'"),
        ("mine/index", b"", 501, "'repository_name' specification is not supported"),
        ("models/nope/unload", b"", 404, "Request for unknown model"),
        ("models/%20/load", b"", 400, "Model name cannot be empty. Please enter a valid name to deploy."),
        ("models/../load", b"", 404, ""),
    ],
)
def test_control_requests_that_fail(path, content, status, message):
    async def test(client, server):
        answer = await client.post(f"/v2/repository/{path}", content=content)
        assert answer.status_code == status
        assert list(answer.json()) == ["error"]
        assert message in answer.json()["error"]

    with_client(test, Settings(http_max_body_bytes=1000))


def test_models_stay_fixed_where_clients_have_no_say():
    async def test(client, server):
        answer = await client.post("/v2/repository/models/one/unload")
        assert answer.status_code == 503
        assert "not allowed" in answer.json()["error"]

    with_client(test, Settings(model_control_mode="none"))


def test_an_exception_nobody_expected_is_a_plain_500(caplog):
    async def boom():
        raise RuntimeError("secret")

    async def test(client, server):
        server.app.add_api_route("/boom", boom)
        answer = await client.get("/boom")
        assert (answer.status_code, answer.json()) == (500, {"error": "internal server error"})

    with_client(test)
    assert "secret" in caplog.text


def test_arguments_a_custom_route_refuses_are_a_clients_mistake():
    async def wants(number: int):
        return number

    async def test(client, server):
        server.app.add_api_route("/wants", wants)
        answer = await client.get("/wants?number=x")
        assert answer.status_code == 400
        assert "query.number" in answer.json()["error"]

    with_client(test)


@pytest.mark.parametrize("route", ["infer_stream", "generate_stream"])
def test_a_stream_is_one_event_for_every_answer(route):
    async def test(client, server):
        answer = await client.post(f"/v2/models/counting/{route}", json=number(3), headers={"accept-encoding": "gzip"})
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        events = [json.loads(line.removeprefix("data: ")) for line in answer.text.strip().split("\n\n")]
        assert [event["outputs"][0]["data"] for event in events] == [[0], [1], [2]]

    with_client(test)


def test_errors_of_a_stream():
    async def test(client, server):
        for path, body, status in (
            ("/v2/models/counting/infer_stream", number(0), 400),
            ("/v2/models/nope/infer_stream", number(1), 404),
            ("/v2/models/counting/infer_stream", {}, 400),
            ("/v2/models/counting/infer_stream", {"id": "x" * 2000}, 400),
        ):
            answer = await client.post(path, json=body)
            assert (answer.status_code, list(answer.json())) == (status, ["error"])
        answer = await client.post("/v2/models/counting/infer_stream", json=number(-2))
        assert answer.status_code == 200
        assert answer.text.endswith('event: error\ndata: {"error":"no further"}\n\n')

    with_client(test, Settings(http_max_body_bytes=1000))


def test_a_stream_whose_client_leaves_is_cancelled():
    async def test(client, server):
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/v2/models/slow/infer_stream", json={"inputs": []}, timeout=0.2)
        async with asyncio.timeout(5):
            while Slow.cancelled == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    with_client(test)


def test_metrics_are_served_where_the_settings_say():
    async def test(client, server):
        answer = await client.get("/m")
        assert (answer.content, answer.headers["content-type"]) == (b"a 1\n", "text/plain; version=1")

    with_client(test, Settings(metrics_endpoint="/m"), metrics_page=lambda: (b"a 1\n", "text/plain; version=1"))


def test_the_documentation_needs_no_other_server():
    async def test(client, server):
        page = await client.get("/v2/docs")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "http:" not in page.text
        assert "https:" not in page.text
        for link in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
            assert link.startswith("/pre/")
            assert len((await client.get(link)).content) > 10_000
        document = (await client.get("/pre/v2/docs/dataplane.json")).json()
        assert document["servers"] == [{"url": "/pre"}]
        assert document["info"]["version"] == "1.2.3"

    with_client(test, Settings(root_path="/pre"))


def test_the_documentation_describes_exactly_the_routes_there_are():
    async def test(client, server):
        described = {
            (path, method.upper())
            for path, item in docs_module.openapi_document("1")["paths"].items()
            for method in item
        }
        served = {
            (route.path, method)
            for route in server.app.routes
            for method in (route.methods or set()) - {"HEAD"}  # below handlers/ each model decides
            if "/docs" not in route.path and route.path not in ("/", "/v2/")
        }
        assert described == served

    with_client(test)


def test_every_model_has_documentation_of_its_own():
    async def test(client, server):
        page = await client.get("/v2/models/versioned/docs")
        assert "/v2/models/versioned/docs/dataplane.json" in page.text
        assert "/v2/docs/assets/swagger-ui.css" in page.text
        document = (await client.get("/v2/models/..odd%20name/docs/dataplane.json")).json()
        assert document["info"]["title"] == "Data Plane for Model ..odd name"
        assert "/v2/models/..odd%20name/infer" in document["paths"]
        assert not [path for path in document["paths"] if "{" in path or "/versions/" in path]
        named = [one.get("name") for one in document["paths"]["/v2/models/..odd%20name/infer"]["post"]["parameters"]]
        assert "model_name" not in named
        assert "Content-Encoding" in named
        document = (await client.get("/v2/models/versioned/versions/v1.0/docs/dataplane.json")).json()
        assert "/v2/models/versioned/versions/v1.0/infer" in document["paths"]
        assert all(path.startswith("/v2/models/versioned/versions/v1.0") for path in document["paths"])
        for path in ("/v2/models/nope/docs", "/v2/models/versioned/versions/9/docs/dataplane.json"):
            assert (await client.get(path)).status_code == 404

    with_client(test)
