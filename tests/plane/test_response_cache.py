"""The response cache: what is the same question, who may answer it, and what it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from oipserver.app import Server
from oipserver.errors import InvalidArgumentError, OIPError
from oipserver.executor.pool import PoolManager
from oipserver.model import MLModel
from oipserver.plane import CachedDataPlane, ResponseCache
from oipserver.plane import cache as cache_module
from oipserver.protocol import InferRequest, InferResponse, RequestedOutput, ServerMetadata
from oipserver.registry import ModelRegistry, ServableBuilder
from oipserver.settings import ModelSettings, Settings
from oipserver.tensor import Tensor
from oipserver.types import InferenceRequest, InferenceResponse, ResponseOutput, TensorData

HERE = __name__


class Counted(MLModel):
    """Answers with how often it was asked, and with a buffer that it uses again."""

    placement = "in-process"

    async def load(self) -> bool:
        self.buffer = np.zeros(2, np.int64)
        return True

    def infer_tensors(self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Any) -> Sequence[Tensor]:
        if inputs[0].name == "bad":
            raise InvalidArgumentError("no")
        self.buffer += 1
        return [Tensor.from_array("n", self.buffer)]


class Awaited(MLModel):
    """Answers with how often it was asked, by the way that suspends."""

    async def load(self) -> bool:
        self.count = 0
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        await asyncio.sleep(0)
        self.count += 1
        output = ResponseOutput(name="n", shape=[1], datatype="INT64", data=TensorData(root=[self.count]))
        return InferenceResponse(model_name=self.name, outputs=[output])


class World:
    """A data plane with a cache over models that are loaded at once."""

    def __init__(self, max_entries: int = 100, max_bytes: int = 1 << 20, workers: int = 0) -> None:
        settings = Settings(parallel_workers=workers)
        self.pools = PoolManager(settings)
        self.cache = ResponseCache(max_entries, max_bytes)
        self.registry = ModelRegistry(ServableBuilder(settings, self.pools))
        self.plane = CachedDataPlane(self.registry, ServerMetadata("x", "1"), lambda: True, self.cache)

    async def load(self, name: str = "m", version: str | None = None, **more: Any) -> None:
        fields = {"name": name, "implementation": f"{HERE}.Counted", "cache_enabled": True, **more}
        settings = ModelSettings.model_validate({**fields, "parameters": {"version": version}})
        await self.registry.load(name, [settings])

    async def ask(self, question: InferRequest) -> int:
        return number(await self.plane.infer(question))


def number(response: InferResponse | None) -> int:
    assert response is not None
    return int(response.outputs[0].array[0])


def question(value: float = 1.0, model: str = "m", **fields: Any) -> InferRequest:
    return InferRequest(model, [Tensor.from_array("x", np.array([value, 2.0], np.float32))], **fields)


def test_the_same_question_is_answered_once() -> None:
    async def scenario() -> None:
        world = World()
        await world.load()
        first = await world.plane.infer(question(id="1", headers={"x-request-id": "a"}))
        again = await world.plane.infer(question(id="2", headers={"x-request-id": "b"}))
        assert (number(first), number(again)) == (1, 1)
        assert (again.id, again.model_name, again.model_version) == ("2", "m", "")
        raw = Tensor("x", "FP32", (2,), raw=np.array([1.0, 2.0], np.float32).tobytes())
        assert await world.ask(InferRequest("m", [raw])) == 1  # the same bytes, however they came
        assert list(world.cache.outcomes()) == [(("m", ""), 2, 1)]
        totals = world.registry.find("m").statistics.totals
        assert (totals.success.count, totals.execution_count) == (3, 1)
        assert world.registry.find("m").in_flight == 0

    asyncio.run(scenario())


def test_whatever_a_model_may_answer_by_makes_another_question() -> None:
    def changed(**fields: Any) -> InferRequest:
        asked = question()
        for name, value in fields.items():
            setattr(asked.inputs[0], name, value)
        return asked

    questions = [
        question(),
        question(2.0),
        question(-0.0),
        question(0.0),
        changed(name="y"),
        changed(parameters={"content_type": "np"}),
        changed(text=True),
        InferRequest("m", [Tensor.from_array("x", np.array([[1.0, 2.0]], np.float32))]),
        InferRequest("m", [Tensor.from_array("x", np.array([1.0, 2.0], np.float32).view(np.int32))]),
        InferRequest("m", [*question().inputs, Tensor.from_array("y", np.zeros(1))]),
        question(parameters={"a": 1}),
        question(parameters={"a": True}),
        question(parameters={"a": "1"}),
        question(outputs=[RequestedOutput("n")]),
        question(outputs=[RequestedOutput("n", {"classification": 1})]),
    ]

    async def scenario() -> None:
        world = World()
        await world.load()
        answers = [await world.ask(asked) for asked in questions]
        assert answers == list(range(1, len(questions) + 1))
        assert [await world.ask(asked) for asked in questions] == answers
        assert await world.ask(question(parameters={"b": 1, "a": 2})) == await world.ask(
            question(parameters={"a": 2, "b": 1})
        )

    asyncio.run(scenario())


def test_models_versions_and_loads_are_apart() -> None:
    async def scenario() -> None:
        world = World()
        await world.load("a", "1")
        await world.load("b")
        assert [await world.ask(question(model="a")) for _ in range(3)] == [1, 1, 1]
        assert await world.ask(question(2, model="a")) == 2
        assert await world.ask(question(model="b")) == 1
        assert world.cache.entries == 3
        before = world.registry.find("a")
        await world.load("a", "1")
        assert world.registry.find("a") is not before
        assert world.cache.entries == 1  # what the old one answered is forgotten
        assert await world.ask(question(2, model="a")) == 1
        await world.registry.unload("a")
        assert world.cache.entries == 1
        with pytest.raises(OIPError, match="unknown model"):
            await world.ask(question(model="a"))

    asyncio.run(scenario())


def test_an_answer_that_comes_after_a_reload_is_not_given_again() -> None:
    async def scenario() -> None:
        world = World()
        await world.load()
        asked = question()
        key = world.cache.key(world.registry.find("m"), asked)
        late = await world.plane.infer(question(7))
        await world.load()
        assert key is not None
        world.cache.put(key, late)
        assert await world.ask(asked) == 1
        assert await world.ask(question(8)) == 2

    asyncio.run(scenario())


def test_who_is_never_answered_from_the_cache() -> None:
    async def scenario() -> None:
        world = World()
        await world.load("off", cache_enabled=False)
        await world.load("state", stateful=True)
        for model in ("off", "state"):
            assert [await world.ask(question(model=model)) for _ in range(2)] == [1, 2]
        await world.load()
        failing = InferRequest("m", [Tensor.from_array("bad", np.zeros(1, np.float32))])
        for _ in range(2):
            with pytest.raises(InvalidArgumentError):
                await world.plane.infer(failing)
        assert world.registry.find("m").statistics.totals.fail.count == 2
        assert [await world.ask(question(parameters={"a": b"x"})) for _ in range(2)] == [1, 2]  # type: ignore[dict-item]
        assert await world.ask(question()) == 3
        await world.registry.find("m").quiesce()
        with pytest.raises(OIPError, match="not ready"):
            await world.ask(question())
        assert world.cache.entries == 1

    asyncio.run(scenario())


def test_questions_that_take_long_to_look_up_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "MAX_HASHED", 7)

    async def scenario() -> None:
        world = World()
        await world.load()
        assert [await world.ask(question()) for _ in range(2)] == [1, 2]

    asyncio.run(scenario())


def test_the_longest_unused_answer_leaves_first() -> None:
    async def scenario() -> None:
        world = World(max_entries=2)
        await world.load()
        assert [await world.ask(question(value)) for value in (1, 2, 1, 3, 1, 2)] == [1, 2, 1, 3, 1, 4]
        assert world.cache.entries == 2

    asyncio.run(scenario())


def test_bytes_are_bounded() -> None:
    async def scenario() -> None:
        world = World(max_bytes=1100)  # two answers of 16 bytes, with what an entry costs
        await world.load()
        for value in range(5):
            await world.ask(question(value))
        assert (world.cache.entries, world.cache.bytes) == (2, 2 * 528)
        large = InferResponse("m", [Tensor.from_array("n", np.zeros(1000, np.uint8))])
        world.cache.put((0, b"large"), large)
        assert world.cache.get((0, b"large")) is None
        await world.registry.unload("m")
        assert (world.cache.entries, world.cache.bytes) == (0, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("workers", [0, 1], ids=["in-process", "worker"])
def test_models_that_are_waited_for(workers: int) -> None:
    async def scenario() -> None:
        world = World(workers=workers)
        await world.load("m", implementation=f"{HERE}.Awaited")
        assert [await world.ask(question(value)) for value in (1, 1, 2, 1)] == [1, 1, 2, 1]
        assert world.plane.infer_here(question(3)) is None
        assert list(world.cache.outcomes()) == [(("m", ""), 2, 2)]
        assert number(world.plane.infer_here(question(2))) == 2
        await world.registry.close()
        await world.pools.close()

    asyncio.run(scenario())


def test_what_callers_do_to_an_answer_stays_with_them() -> None:
    async def scenario() -> None:
        world = World()
        await world.load()
        key = world.cache.key(world.registry.find("m"), question())
        assert key is not None
        given = InferResponse("m", [Tensor.from_array("n", np.zeros(1))], parameters={"a": 1}, headers={"h": "1"})
        world.cache.put(key, given)
        first = await world.plane.infer(question())
        assert (first.parameters, first.headers) == ({"a": 1}, {"h": "1"})
        assert first.parameters is not None
        first.parameters["b"] = 2
        first.outputs.clear()
        assert (await world.plane.infer(question())).parameters == {"a": 1}
        assert len((await world.plane.infer(question())).outputs) == 1

    asyncio.run(scenario())


def test_threads_share_it() -> None:
    world = World(max_entries=8)
    asyncio.run(world.load())

    def ask(value: int) -> int:
        return number(world.plane.infer_here(question(value % 4)))

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(ask, range(400)))
    assert sum(hits + misses for _, hits, misses in world.cache.outcomes()) == 400
    assert len(set(answers[-4:])) == 4
    assert world.cache.entries == 4


def test_a_server_with_a_cache(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "model-settings.json").write_text(f'{{"implementation": "{HERE}.Counted", "cache_enabled": true}}')

    async def scenario() -> None:
        ports = {"http_port": 0, "grpc_port": 0, "metrics_port": 0}
        server = Server(Settings(host="127.0.0.1", cache_enabled=True, parallel_workers=0, **ports), tmp_path)
        report = await server.start()
        body = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1.5]}]}
        async with httpx.AsyncClient() as client:
            answers = [
                (await client.post(f"http://127.0.0.1:{report.http_port}/v2/models/m/infer", json=body)).json()
                for _ in range(3)
            ]
            page = (await client.get(f"http://127.0.0.1:{report.metrics_port}/metrics")).text
        assert [answer["outputs"][0]["data"] for answer in answers] == [[1, 1]] * 3
        assert 'oipserver_cache_hits_total{model="m",version="None"} 2.0' in page
        assert 'oipserver_cache_misses_total{model="m",version="None"} 1.0' in page
        assert "oipserver_cache_entries 1.0" in page
        assert "oipserver_cache_bytes 528.0" in page
        await server.stop()

    asyncio.run(scenario())
