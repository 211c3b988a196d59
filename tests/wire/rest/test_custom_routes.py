"""Custom handlers over REST: where they are found, what they are given, and that they never hide a route of ours."""

from __future__ import annotations

import asyncio
import gzip
import logging
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import Header, Query

from oipserver.errors import InvalidArgumentError, NotFoundError, UnavailableError
from oipserver.executor.pool import PoolManager
from oipserver.handlers import custom_handler
from oipserver.model import MLModel
from oipserver.plane import ControlPlane, DataPlane
from oipserver.protocol import ServerMetadata
from oipserver.registry import ModelRegistry, ServableBuilder
from oipserver.settings import CORSSettings, ModelSettings, Settings
from oipserver.wire.rest import RestServer
from tests.wire.rest.rest_world import Shelf, run

HERE = __name__


class Talker(MLModel):
    """Handlers of many kinds."""

    @custom_handler("/say/{word}", "GET")
    async def say(self, word: str, times: int = 1) -> dict[str, Any]:
        return {"model": self.name, "word": word * times}

    @custom_handler("/say/all", "GET")
    async def say_all(self) -> str:
        return "all"

    @custom_handler("/files/{rest:path}", "GET")
    def file(self, rest: str) -> bytes:
        return rest.encode()

    @custom_handler("/reverse")
    def reverse(self, body: bytes) -> bytes:
        return body[::-1]

    @custom_handler("/fail")
    async def fail(self, kind: str) -> None:
        raise InvalidArgumentError("the caller did it") if kind == "client" else ValueError("inside")

    @custom_handler("/v2/health/live", "GET")
    async def live(self) -> str:
        return "mine"


class Other(MLModel):
    """Wants a path that another model has too."""

    @custom_handler("/say/{text}", "GET")
    async def say(self, text: str) -> dict[str, Any]:
        return {"model": self.name, "word": text}

    @custom_handler("/only-here", "GET")
    async def only(self) -> str:
        return self.name


class Tags(MLModel):
    """Takes lists from the query."""

    @custom_handler("/tags", "GET")
    async def tags(self, tag: list[str] = Query([]), one: str = "") -> Any:  # noqa: B008
        return [tag, one]

    @custom_handler("/seen", "GET")
    async def seen(self, x_seen: list[str] = Header([]), first: str = Header("", alias="x-seen")) -> Any:  # noqa: B008
        return [x_seen, first]


class Waits(MLModel):
    """A handler that waits, and notes that it was given up."""

    entered: asyncio.Event
    given_up: asyncio.Event

    @custom_handler("/wait", "GET")
    async def wait(self) -> None:
        type(self).entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            type(self).given_up.set()
            raise


def settings_of(name: str, kind: str, version: str | None = None) -> ModelSettings:
    return ModelSettings(name=name, implementation=f"{HERE}.{kind}", parameters={"version": version})


class World:
    """A running server and the parts a test turns."""

    def __init__(
        self, registry: ModelRegistry, data: DataPlane, client: httpx.AsyncClient, port: int, observed: Observed
    ) -> None:
        self.registry, self.data, self.client, self.port, self.observed = registry, data, client, port, observed

    async def load(self, name: str, kind: str, version: str | None = None) -> None:
        await self.registry.load(name, [settings_of(name, kind, version)])

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        answer = await self.client.get(path, **options)
        return answer.status_code, answer.json()


@asynccontextmanager
async def world(**options: Any):
    settings = Settings(**{"host": "127.0.0.1", "http_port": 0, "parallel_workers": 0, **options})
    pools = PoolManager(settings)
    registry = ModelRegistry(ServableBuilder(settings, pools))
    data = DataPlane(registry, ServerMetadata("oipserver", "1.2.3"), lambda: True)
    observed = Observed()
    server = RestServer(data, ControlPlane(registry, Shelf(), "auto"), settings, observer=observed)
    port = await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}{settings.root_path}") as client:
        made = World(registry, data, client, port, observed)
        try:
            yield made
        finally:
            await server.stop(0.2)
            await registry.close()
            await pools.close()


class Observed:
    def __init__(self) -> None:
        self.templates: list[tuple[str, int]] = []

    def started(self) -> None: ...

    def finished(self, method: str, route_template: str, status: int, seconds: float) -> None:
        self.templates.append((route_template, status))


@pytest.mark.parametrize("workers", [0, 1], ids=["in-process", "worker"])
def test_handlers_are_reached_by_their_path_and_below_their_model(workers):
    async def test():
        async with world(parallel_workers=workers) as here:
            await here.load("talker", "Talker", "3")
            here.registry.find("talker").statistics = None  # calls of handlers are no inference: nobody counts them
            for base in ("", "/v2/models/talker/handlers", "/v2/models/talker/versions/3/handlers"):
                assert await here.get(f"{base}/say/hi", params={"times": "2"}) == (
                    200,
                    {"model": "talker", "word": "hihi"},
                )
                assert await here.get(f"{base}/say/all") == (200, "all")
                answer = await here.client.post(f"{base}/reverse", content=b"abc")
                assert (answer.content, answer.headers["content-type"]) == (b"cba", "application/octet-stream")
                assert (await here.client.get(f"{base}/files/a/b%20c")).content == b"a/b c"
                assert (await here.client.post(f"{base}/fail", json="client")).json() == {"error": "the caller did it"}
                broken = await here.client.post(f"{base}/fail", json="bug")
                assert (broken.status_code, broken.json()) == (
                    500,
                    {"error": "model 'talker' failed: ValueError: inside"},
                )
            document = (await here.get("/v2/models/talker/docs/dataplane.json"))[1]
            assert (
                document["paths"]["/v2/models/talker/handlers/files/{rest}"]["get"]["parameters"][0]["name"] == "rest"
            )

    run(test)


def test_a_key_of_the_query_may_come_more_than_once():
    async def test():
        async with world() as here:
            await here.load("tags", "Tags")
            assert await here.get("/tags?tag=a&tag=b&tag=&one=1&one=2") == (200, [["a", "b", ""], "2"])

    run(test)


def test_a_header_may_come_more_than_once_and_a_slash_too_many_is_taken_off():
    async def test():
        async with world(parallel_workers=1) as here:
            await here.load("tags", "Tags")
            headers = [("x-seen", "a"), ("x-seen", "b")]
            assert (await here.client.get("/seen", headers=headers)).json() == [["a", "b"], "a"]
            answer = await here.client.get("/tags/?tag=a")
            assert answer.status_code == 307
            assert answer.headers["location"].endswith("/tags?tag=a")
            assert await here.get("/nobody/") == (404, {"error": "Not Found"})

    run(test)


def test_what_nobody_has_and_what_is_asked_wrongly():
    async def test():
        async with world() as here:
            assert await here.get("/reverse") == (404, {"error": "Not Found"})
            await here.load("talker", "Talker")
            answer = await here.client.get("/reverse")
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
            assert answer.json() == {"error": "Method Not Allowed"}
            assert (await here.client.head("/say/hi")).status_code == 200
            assert (await here.get("/v2/models/talker/handlers/nope"))[0] == 404
            assert await here.get("/v2/models/nope/handlers/say/hi") == (
                404,
                {"error": "Request for unknown model: 'nope' is not found"},
            )
            assert (await here.get("/say/all/more"))[0] == 404

    run(test)


def test_routes_come_and_go_with_their_models():
    async def test():
        async with world() as here:
            await here.load("talker", "Talker")
            assert (await here.get("/say/hi"))[0] == 200
            await here.load("talker", "Other")
            assert await here.get("/say/hi") == (200, {"model": "talker", "word": "hi"})
            assert (await here.client.post("/reverse", content=b"x")).status_code == 404
            await here.registry.unload("talker")
            assert (await here.get("/say/hi"))[0] == 404
            with pytest.raises(NotFoundError):
                here.data.handlers("talker")

    run(test)


def test_two_models_with_one_path(caplog):
    async def test():
        async with world() as here:
            await here.load("zebra", "Talker")
            await here.load("ant", "Other")
            assert (await here.get("/say/hi"))[1]["model"] == "ant"
            assert (await here.get("/v2/models/zebra/handlers/say/hi"))[1]["model"] == "zebra"
            assert (await here.get("/v2/models/ant/handlers/say/hi"))[1]["model"] == "ant"
            assert await here.get("/only-here") == (200, "ant")
            await here.registry.unload("ant")
            assert (await here.get("/say/hi"))[1]["model"] == "zebra"

    with caplog.at_level(logging.WARNING, "oipserver.wire.rest.custom"):
        run(test)
    clashes = [record.message for record in caplog.records if "/say/{word}" in record.message]
    assert clashes == [
        "model 'zebra': GET /say/{word} is answered by model 'ant'; "
        "handler 'say' is at /v2/models/zebra/handlers/say/{word}"
    ]


def test_routes_of_the_server_are_never_hidden(caplog):
    async def test():
        async with world() as here:
            await here.load("talker", "Talker")
            assert await here.get("/v2/health/live") == (200, {"live": True})
            assert await here.get("/v2/models/talker/handlers/v2/health/live") == (200, "mine")

    run(test)
    assert "GET /v2/health/live is answered by the server itself" in caplog.text


def test_bodies_are_bounded_and_may_be_compressed():
    async def test():
        async with world(http_max_body_bytes=1000) as here:
            await here.load("talker", "Talker")
            answer = await here.client.post("/reverse", content=bytes(1001))
            assert answer.status_code == 400
            assert "request size of 1001 bytes exceeds" in answer.json()["error"]
            packed = {"content": gzip.compress(b"abc"), "headers": {"content-encoding": "gzip"}}
            assert (await here.client.post("/reverse", **packed)).content == b"cba"
            packed["content"] = gzip.compress(bytes(2000))
            assert (await here.client.post("/reverse", **packed)).status_code == 400

    run(test)


def test_a_client_that_leaves_gives_the_handler_up():
    async def test():
        Waits.entered, Waits.given_up = asyncio.Event(), asyncio.Event()
        async with world() as here, asyncio.timeout(20):
            await here.load("waits", "Waits")
            _, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
            await Waits.entered.wait()
            assert here.registry.find("waits").in_flight == 1
            writer.close()
            await Waits.given_up.wait()

    run(test)


def test_requests_are_counted_by_template_and_browsers_are_let_in():
    async def test():
        cors = CORSSettings(allow_origins=["http://good"], allow_methods=["GET", "POST"])
        async with world(cors_settings=cors, root_path="/proxy") as here:
            await here.load("talker", "Talker")
            answer = await here.client.get("/say/hi", headers={"origin": "http://good"})
            assert answer.headers["access-control-allow-origin"] == "http://good"
            await here.get("/v2/models/talker/handlers/say/ho")
            await here.get("/nothing/here")
            assert here.observed.templates == [
                ("/say/{word}", 200),
                ("/v2/models/{model_name}/handlers/say/{word}", 200),
                ("__unknown__", 404),
            ]

    run(test)


def test_a_model_that_leaves_is_refused():
    async def test():
        async with world() as here:
            await here.load("talker", "Talker")
            await here.registry.find("talker").quiesce()
            assert (await here.get("/say/hi"))[0] == 503
            with pytest.raises(UnavailableError):
                here.registry.acquire("talker")

    run(test)


def test_generate_is_another_word_for_infer():
    async def test():
        async with world() as here:
            await here.registry.load(
                "echo", [ModelSettings(name="echo", implementation="tests.wire.rest.rest_world.Echo")]
            )
            body = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1.5]}]}
            answers = [(await here.client.post(f"/v2/models/echo/{verb}", json=body)) for verb in ("infer", "generate")]
            assert answers[0].json() == answers[1].json()
            assert answers[1].status_code == 200

    run(test)
