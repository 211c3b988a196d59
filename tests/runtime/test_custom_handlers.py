"""Custom handlers: where they are reached, how their arguments are found, what becomes of their answers."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

import numpy as np
import orjson
import pydantic
import pytest
from fastapi import Body, Header, HTTPException, Query, Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from oipserver.errors import InternalError, ModelLoadError, NotFoundError, OIPError
from oipserver.handlers import CustomHandler, custom_handler, get_custom_handlers
from oipserver.model import MLModel
from oipserver.runtime import ModelHost, host
from oipserver.runtime.handlers import HandlerRequest, HandlerResponse, HandlerRoute, call_handler, find_handlers
from oipserver.settings import ModelSettings
from oipserver.types import InferenceRequest, InferenceResponse, RequestInput


class Item(pydantic.BaseModel):
    name: str
    size: int = 1


@dataclass
class Point:
    x: int
    y: int


class Model(MLModel):
    """One handler for each way of finding arguments and giving answers."""

    @custom_handler(rest_path="/sum")
    async def sum_up(self, payload: list[int]) -> int:
        return sum(payload)

    @custom_handler(rest_path="/items/{name}/{size:int}", rest_method="get")
    async def by_path(self, name: str, size: int, scale: float = 1.0) -> dict[str, Any]:
        return {"name": name, "size": size * scale}

    @custom_handler("/models")
    async def by_model(self, item: Item, point: Point) -> Item:
        return Item(name=item.name, size=point.x + point.y)

    @custom_handler("/optional")
    async def optional(self, item: Item | None = None) -> Any:
        return item

    @custom_handler("/inference")
    async def inference(self, payload: InferenceRequest) -> InferenceResponse:
        return InferenceResponse(model_name=self.name, outputs=[payload.inputs[0].model_dump()])

    @custom_handler("/bytes")
    def raw(self, body: bytes) -> bytes:
        return body[::-1]

    @custom_handler("/text")
    def text(self, words: str) -> str:
        return words.upper()

    @custom_handler("/alone")
    def alone(self, value) -> Any:  # without an annotation, as a model may have it
        return value

    @custom_handler("/count")
    async def count(self, start: int, stop: int = 3, on: date | None = None) -> Any:
        return [start, stop, on]

    @custom_handler("/marked")
    async def marked(
        self,
        length: int = Body(2, embed=True),
        tags: list[str] = Query([]),  # noqa: B008
        x_token: Annotated[str, Header()] = "none",
        other: Annotated[str | None, Header(alias="X-Other")] = None,
    ) -> Any:
        return [length, tags, x_token, other]

    @custom_handler("/framework")
    async def framework(self, request: Request) -> Response:
        body = await request.body()
        return PlainTextResponse(
            f"{request.method} {request.url.path} {request.query_params['q']} {request.headers['x-a']} {body.decode()}",
            status_code=201,
            headers={"X-B": "2"},
        )

    @custom_handler("/nothing", "DELETE")
    async def nothing(self) -> None:
        return None

    @custom_handler("/numbers")
    def numbers(self) -> Any:
        return {"a": np.arange(2), "b": np.float32(1.5), "c": float("nan"), "d": None, "thread": threading.get_ident()}

    @custom_handler("/missing")
    def missing(self) -> Any:
        raise HTTPException(404, {"name": "it"}, {"x-why": "gone"})

    @custom_handler("/listed", "GET")
    def listed(self, x_token: str = Header(...), x_all: list[str] = Header([])) -> list[Any]:  # noqa: B008
        return [x_token, x_all]

    @custom_handler("/headers", "GET")
    def all_headers(self, request: Request) -> list[tuple[str, str]]:
        return list(request.headers.items())

    @custom_handler("/broken")
    def broken(self) -> Any:
        return object()

    @custom_handler("/streamed")
    def streamed(self) -> Any:
        return StreamingResponse(iter(()))

    @staticmethod
    @custom_handler("/static")
    def static(number: int) -> int:
        return number + 1

    async def plain(self) -> None:
        """Not a handler."""


MODEL = Model(ModelSettings(name="m"))


def call(name: str, body: Any = b"", **fields: Any) -> HandlerResponse:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return asyncio.run(call_handler(MODEL, HandlerRequest(name, body=content, **fields)))


def answer(name: str, body: Any = b"", **fields: Any) -> Any:
    """What a handler answers in JSON."""
    response = call(name, body, **fields)
    assert (response.status, response.media_type) == (200, "application/json")
    return orjson.loads(response.body)


def test_handlers_are_found_by_name() -> None:
    routes = find_handlers(MODEL)
    assert [route.name for route in routes] == sorted(route.name for route in routes)
    assert HandlerRoute("by_path", "/items/{name}/{size:int}", "GET") in routes
    assert "plain" not in {route.name for route in routes}
    marks = [mark for mark, _ in get_custom_handlers(MODEL)]
    assert CustomHandler(rest_path="/sum", rest_method="POST") in marks
    assert len(marks) == len(routes)


def test_a_subclass_inherits_handlers() -> None:
    class Child(Model):
        @custom_handler("/own")
        def own(self) -> None: ...

    paths = {route.path for route in find_handlers(Child(ModelSettings(name="c")))}
    assert {"/own", "/sum"} <= paths


@pytest.mark.parametrize(
    ("name", "body", "fields", "expected"),
    [
        ("sum_up", [1, 2, 3], {}, 6),
        ("by_path", b"", {"path_params": {"name": "a", "size": "2"}}, {"name": "a", "size": 2.0}),
        (
            "by_path",
            b"",
            {"path_params": {"name": "a", "size": "2"}, "query": {"scale": ["1.5"]}},
            {"name": "a", "size": 3.0},
        ),
        ("by_model", {"item": {"name": "a"}, "point": {"x": 1, "y": 2}}, {}, {"name": "a", "size": 3}),
        ("optional", b"", {}, None),
        ("optional", {"name": "a"}, {}, {"name": "a"}),
        ("text", b"hello", {}, "HELLO"),
        ("text", "hello", {"headers": {"content-type": "application/json"}}, "HELLO"),
        ("text", b"", {"query": {"words": ["hi"]}}, "HI"),
        ("alone", {"a": [1]}, {}, {"a": [1]}),
        ("count", b"", {"query": {"start": ["1"]}}, [1, 3, None]),
        ("count", b"", {"query": {"start": ["1"], "stop": ["2"], "on": ["2022-01-11"]}}, [1, 2, "2022-01-11"]),
        ("marked", b"", {}, [2, [], "none", None]),
        (
            "marked",
            {"length": 5},
            {"query": {"tags": ["t"]}, "headers": {"x-token": "s", "x-other": "o"}},
            [5, ["t"], "s", "o"],
        ),
        ("nothing", b"", {}, None),
        ("static", b"41", {}, 42),
    ],
)
def test_arguments_and_answers(name: str, body: Any, fields: dict[str, Any], expected: Any) -> None:
    assert answer(name, body, **fields) == expected


def test_inference_messages() -> None:
    payload = InferenceRequest(inputs=[RequestInput(name="a", shape=[1], datatype="BYTES", data=[b"x"])])
    tensor = {"name": "a", "shape": [1], "datatype": "BYTES", "data": ["x"]}
    assert answer("inference", payload.model_dump_json().encode()) == {"model_name": "m", "outputs": [tensor]}


def test_bytes_pass_as_they_are() -> None:
    response = call("raw", b"\x00\xff")
    assert (response.body, response.media_type) == (b"\xff\x00", "application/octet-stream")
    assert call("raw").body == b""


def test_numbers_of_numpy_and_threads() -> None:
    answered = answer("numbers")
    assert answered.pop("thread") != threading.get_ident()
    assert answered == {"a": [0, 1], "b": 1.5, "c": None, "d": None}


def test_requests_and_responses_of_the_web_framework() -> None:
    response = call("framework", b"body", query={"q": ["a b"]}, headers={"x-a": "1"})
    assert response == HandlerResponse(201, b"POST /framework a b 1 body", "text/plain; charset=utf-8", {"x-b": "2"})


@pytest.mark.parametrize(
    ("name", "body", "fields", "problems"),
    [
        ("sum_up", b"", {}, [("missing", ["body"])]),
        ("sum_up", b"{", {}, [("json_invalid", ["body", 1])]),
        ("sum_up", [1, "x", 2.5], {}, [("int_parsing", ["body", 1]), ("int_from_float", ["body", 2])]),
        ("by_model", {"item": {}}, {}, [("missing", ["body", "item", "name"]), ("missing", ["body", "point"])]),
        ("by_model", [1], {}, [("missing", ["body", "item"]), ("missing", ["body", "point"])]),
        ("count", b"", {}, [("missing", ["query", "start"])]),
        ("count", b"", {"query": {"start": ["x"]}}, [("int_parsing", ["query", "start"])]),
        ("text", b"\xff", {}, [("string_unicode", ["body"])]),
    ],
)
def test_the_callers_mistakes_are_told_as_fastapi_does(
    name: str, body: Any, fields: dict[str, Any], problems: list[Any]
) -> None:
    response = call(name, body, **fields)
    assert response.status == 422
    told = orjson.loads(response.body)["detail"]
    assert [(problem["type"], problem["loc"]) for problem in told] == problems
    assert all(problem["msg"] for problem in told)


def test_a_header_that_came_more_than_once() -> None:
    fields = {"headers": {"x-token": "a, b", "x-all": "c, d"}, "repeated": {"x-token": ["a", "b"], "x-all": ["c", "d"]}}
    assert answer("listed", **fields) == ["a", ["c", "d"]]
    assert answer("listed", headers={"x-token": "a", "x-all": "c"}) == ["a", ["c"]]
    assert orjson.loads(call("all_headers", **fields).body) == [
        ["x-token", "a"],
        ["x-token", "b"],
        ["x-all", "c"],
        ["x-all", "d"],
    ]


def test_an_exception_of_the_web_framework_is_an_answer() -> None:
    response = call("missing")
    assert (response.status, response.headers) == (404, {"x-why": "gone"})
    assert orjson.loads(response.body) == {"detail": {"name": "it"}}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("plain", NotFoundError), ("load", NotFoundError), ("broken", InternalError), ("streamed", InternalError)],
)
def test_what_cannot_be_called_or_answered(name: str, kind: type[OIPError]) -> None:
    with pytest.raises(kind, match="model 'm'"):
        call(name)


def test_a_model_tells_of_its_handlers_and_answers_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "resolve_class", lambda _: Model)

    async def check() -> None:
        made = ModelHost(ModelSettings(name="m"))
        face = await made.load()
        assert {"name": "sum_up", "path": "/sum", "method": "POST"} in face.details["handlers"]
        assert (await made.call_handler(HandlerRequest("sum_up", body=b"[1,2]"))).body == b"3"
        assert (await made.call_handler(HandlerRequest("missing"))).status == 404

    asyncio.run(check())


def test_a_signature_that_cannot_be_understood_fails_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(MLModel):
        @custom_handler("/wrong")
        def wrong(self, a: NotThere) -> None:  # noqa: F821
            """Its annotation names nothing."""

    monkeypatch.setattr(host, "resolve_class", lambda _: Wrong)
    with pytest.raises(ModelLoadError, match="NotThere"):
        asyncio.run(ModelHost(ModelSettings(name="m")).load())
