"""What every executor must do, asked of each of them: the same model answers alike wherever it runs."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from oipserver.errors import (
    InternalError,
    InvalidArgumentError,
    ModelLoadError,
    NotFoundError,
    OIPError,
    ResourceExhaustedError,
    UnsupportedError,
)
from oipserver.executor import Executor, InProcessExecutor
from oipserver.executor.pool import PoolManager
from oipserver.protocol import InferResponse, RequestedOutput
from oipserver.runtime.handlers import HandlerRequest
from oipserver.settings import Settings
from oipserver.tensor import DATATYPES, Tensor

from .support import model_settings, parameters_of, parts_of, request, until

Open = Callable[..., Any]  # kind of model -> context manager of its executor


class Home:
    """One loop for all tests of a module, and the executors of one sort on it."""

    def __init__(self, sort: str) -> None:
        self.sort = sort
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop if "uvloop" in sort else None)
        self.manager: PoolManager | None = None

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def executor(self, kind: str, **more: Any) -> Executor:
        if self.sort == "in-process":
            return InProcessExecutor(model_settings(kind, **more))
        if self.manager is None:
            self.manager = PoolManager(Settings(parallel_workers=1, model_load_timeout=10), memory=256 << 20)
        return self.manager.executor(model_settings(kind, **more))

    @asynccontextmanager
    async def loaded(self, kind: str, **more: Any) -> AsyncIterator[Executor]:
        executor = self.executor(kind, **more)
        await executor.load()
        try:
            yield executor
        finally:
            await executor.unload()

    def close(self) -> None:
        if self.manager is not None:
            self.run(self.manager.close())
        self.runner.close()


@pytest.fixture(scope="module", params=["in-process", "pool", "pool on uvloop"])
def home(request: pytest.FixtureRequest) -> Iterator[Home]:
    home = Home(request.param)
    yield home
    home.close()


def answer(home: Home, kind: str, asked: Any, **more: Any) -> InferResponse:
    async def run() -> InferResponse:
        async with home.loaded(kind, **more) as executor:
            return await executor.execute(asked)

    response: InferResponse = home.run(run())
    return response


ARRAYS = {
    "BOOL": np.array([[True, False], [False, True]]),
    "BYTES": np.array([b"", b"a", "\u00fc".encode(), bytes(range(256))], dtype=object),
    **{
        name: np.arange(6).astype(datatype.dtype).reshape(2, 3)
        for name, datatype in DATATYPES.items()
        if name not in ("BOOL", "BYTES")
    },
}


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("form", ["array", "raw"])
def test_every_datatype_comes_back_as_it_went(home: Home, datatype: str, form: str) -> None:
    tensor = Tensor.from_array("x", ARRAYS[datatype], datatype)
    if form == "raw":
        tensor = Tensor.from_raw("x", DATATYPES[datatype], tensor.shape, bytes(tensor.raw))
    asked = request()
    asked.inputs.append(tensor)
    (output,) = answer(home, "Echo", asked).outputs
    assert (output.name, output.datatype, output.shape) == ("x", datatype, ARRAYS[datatype].shape)
    np.testing.assert_array_equal(output.array, ARRAYS[datatype])


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1, 1, 1), (2, 3, 4)])
@pytest.mark.parametrize("datatype", ["FP32", "BYTES", "BOOL"])
def test_empty_and_scalar_tensors(home: Home, shape: tuple[int, ...], datatype: str) -> None:
    array = np.full(shape, b"x" if datatype == "BYTES" else 1, DATATYPES[datatype].dtype)
    asked = request()
    asked.inputs.append(Tensor.from_array("x", array, datatype))
    (output,) = answer(home, "Echo", asked).outputs
    assert output.shape == shape
    np.testing.assert_array_equal(output.array, array)


def test_large_and_small_tensors_in_one_request(home: Home) -> None:
    arrays = [np.arange(1 << 20, dtype=np.float32), np.arange(3), np.zeros((0, 4)), np.arange(1 << 17, dtype=np.int64)]
    response = answer(home, "Echo", request(*arrays))
    for output, array in zip(response.outputs, arrays, strict=True):
        np.testing.assert_array_equal(output.array, array)


def test_large_bytes_tensor(home: Home) -> None:
    array = np.array([b"a" * 100_000, b"", b"b" * 100_001], dtype=object)
    (output,) = answer(home, "Echo", request(array)).outputs
    assert output.array.tolist() == array.tolist()


@pytest.mark.parametrize("size", [8, 100_000])
def test_arrays_that_are_not_contiguous(home: Home, size: int) -> None:
    array = np.arange(size, dtype=np.float32).reshape(2, -1)
    transposed, swapped = answer(home, "Strided", request(array[:, ::-1])).outputs
    np.testing.assert_array_equal(transposed.array, array[:, ::-1].T)
    np.testing.assert_array_equal(swapped.array, array[:, ::-1])


def test_answers_stay_right_while_others_are_made(home: Home) -> None:
    async def run() -> None:
        async with home.loaded("Doubler") as executor:
            kept = []
            for number in range(12):
                array = np.full(100_000, number, np.int64)
                kept.append((number, (await executor.execute(request(array))).outputs[0]))
                if number % 3 == 0:
                    kept.pop(0)  # its memory may be used again now
            for number, output in kept:
                assert (output.array == number * 2).all()

    home.run(run())


def test_inputs_that_a_model_keeps_stay_right(home: Home) -> None:
    async def run() -> None:
        async with home.loaded("Keeps") as executor:
            for number in range(6):
                response = await executor.execute(request(np.full(50_000, number, np.int64)))
                sums = response.outputs[0].array.tolist()
                assert sums == [each * 50_000 for each in range(number + 1)]

    home.run(run())


def test_requested_outputs(home: Home) -> None:
    asked = request(np.arange(2), np.arange(3), outputs=[RequestedOutput("x1", {"binary_data": True})])
    assert [output.name for output in answer(home, "Echo", asked).outputs] == ["x1"]


def test_id_parameters_and_headers_reach_the_model(home: Home) -> None:
    asked = request(np.arange(2), text="a\u00fc", flag=True, whole=2**40, real=0.5)
    asked.headers = {"x-test": "yes"}
    response = answer(home, "Public", asked)
    told = parameters_of(response)
    assert told.pop("pid") > 0
    expected = {"text": "a\u00fc", "flag": True, "whole": 2**40, "real": 0.5, "seen_id": "r1", "seen_header": "yes"}
    assert {key: told[key] for key in expected} == expected
    assert (response.model_name, response.id) == ("any", "r1")
    np.testing.assert_array_equal(response.outputs[0].array, [0, 1])


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_parameters_that_json_does_not_know(home: Home, value: float) -> None:
    told = parameters_of(answer(home, "Public", request(odd=value)))["odd"]
    assert told == value or (math.isnan(told) and math.isnan(value))


def test_timings(home: Home) -> None:
    timings = answer(home, "Public", request(np.arange(2))).timings
    assert timings is not None
    assert 0 < timings.infer_start <= timings.infer_end


@pytest.mark.parametrize(
    ("what", "kind", "message"),
    [
        ("invalid", InvalidArgumentError, "the input is wrong"),
        ("busy", ResourceExhaustedError, "too much"),
        ("unsupported", UnsupportedError, "not that"),
        ("value", InternalError, "model 'raises' failed: ValueError: internal detail"),
        ("wrong type", InternalError, "returned str where an InferenceResponse was expected"),
    ],
)
def test_errors_keep_code_and_message(home: Home, what: str, kind: type[OIPError], message: str) -> None:
    with pytest.raises(kind) as caught:
        answer(home, "Raises", request(what=what))
    assert message in caught.value.message
    assert caught.value.retry_after == (7.5 if what == "busy" else None)


def test_a_model_goes_on_after_an_error(home: Home) -> None:
    async def run() -> None:
        async with home.loaded("Raises") as executor:
            for _ in range(3):
                with pytest.raises(InvalidArgumentError):
                    await executor.execute(request(np.zeros(50_000), what="invalid"))

    home.run(run())


@pytest.mark.parametrize("size", [1, 50_000])
def test_stream(home: Home, size: int) -> None:
    async def run() -> list[int]:
        async with home.loaded("Counts") as executor:
            return [
                int(part.outputs[0].array[-1])
                async for part in executor.stream(request(n=40, size=size))
                if part.outputs[0].shape == (size,)
            ]

    assert home.run(run()) == list(range(40))


def test_stream_of_a_model_that_does_not_stream(home: Home) -> None:
    async def run() -> int:
        async with home.loaded("Echo") as executor:
            return len([part async for part in executor.stream(request(np.arange(3)))])

    assert home.run(run()) == 1


def test_stream_that_fails_midway(home: Home) -> None:
    async def run() -> int:
        parts: list[InferResponse] = []
        async with home.loaded("Counts") as executor:
            with pytest.raises(InvalidArgumentError, match="no more"):
                await parts_of(executor.stream(request(n=40, fail_at=17)), parts)
        return len(parts)

    assert home.run(run()) == 17


def test_closed_stream_ends_the_model(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "sent"

    async def run() -> None:
        async with home.loaded("Counts") as executor:
            answers = executor.stream(request(n=10_000, path=str(path)))
            assert (await anext(answers)).outputs[0].array[0] == 0
            await answers.aclose()  # type: ignore[attr-defined]
            await until(path.exists)

    home.run(run())
    assert int(path.read_text()) < 100, "the model must not run far ahead of a reader that has gone"


def test_cancelled_call_is_told_to_the_model(home: Home, tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def run() -> None:
        async with home.loaded("Waits") as executor:
            call = asyncio.ensure_future(executor.execute(request(gate=str(gate))))
            await until(gate.with_suffix(".begun").exists)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await until(gate.with_suffix(".cancelled").exists)

    home.run(run())


@pytest.mark.parametrize("size", [1, 3000, 30_000])  # within a frame, more than a socket holds, in shared memory
def test_many_calls_at_once(home: Home, size: int) -> None:
    async def run() -> None:
        async with home.loaded("Doubler") as executor:
            answers = await asyncio.gather(*(executor.execute(request(np.full(size, n))) for n in range(200)))
            for n, response in enumerate(answers):
                assert (response.outputs[0].array == 2 * n).all()

    home.run(run())


def test_slots_while_loaded(home: Home) -> None:
    async def run() -> None:
        async with home.loaded("Echo") as executor:
            assert executor.slots >= 1
            assert executor.unavailable_reason == ""

    home.run(run())


@pytest.mark.parametrize(
    ("how", "message"), [("raise", "FileNotFoundError: no artefact here"), ("false", r"load\(\) returned False")]
)
def test_load_that_fails(home: Home, how: str, message: str) -> None:
    executor = home.executor("FailsToLoad", parameters={"extra": {"how": how}})
    with pytest.raises(ModelLoadError, match=message):
        home.run(executor.load())


def test_load_of_what_is_not_there(home: Home) -> None:
    with pytest.raises(ModelLoadError, match="nowhere"):
        home.run(home.executor("nowhere.Model").load())
    with pytest.raises(ModelLoadError, match="has no class 'Missing'"):
        home.run(home.executor("Missing").load())


def test_unload_reaches_the_model(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "unloaded"

    async def run() -> None:
        async with home.loaded("Unloads", parameters={"extra": {"path": str(path)}}) as executor:
            await executor.execute(request())
            assert not path.exists()
        assert path.read_text() == "unloaded"

    home.run(run())


def test_face(home: Home) -> None:
    declared = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}], "platform": "p", "versions": ["a"]}
    executor = home.executor("Echo", **declared)
    face = home.run(executor.load())
    home.run(executor.unload())
    assert (face.fast, face.streams, face.instances) == (True, False, 1)
    assert (face.metadata.name, face.metadata.platform, face.metadata.versions) == ("echo", "p", ("a",))
    (tensor,) = face.metadata.inputs
    assert (tensor.name, tensor.datatype, tensor.shape) == ("x", "FP32", (-1, 2))


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_custom_handler(home: Home, size: int) -> None:
    async def run() -> None:
        async with home.loaded("Handlers") as executor:
            response = await executor.call_handler(HandlerRequest("double", body=b"ab" * size))
            assert response.body == b"abab" * size
            with pytest.raises(InvalidArgumentError, match="not this"):
                await executor.call_handler(HandlerRequest("refuse"))
            with pytest.raises(NotFoundError):
                await executor.call_handler(HandlerRequest("missing"))

    home.run(run())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["FP32", "INT64", "UINT8", "BYTES"]), st.lists(st.integers(0, 5), max_size=4)),
        max_size=5,
    )
)
def test_any_request_comes_back(echo: tuple[Home, Executor], tensors: list[tuple[str, list[int]]]) -> None:
    home, executor = echo
    asked = request()
    rng = np.random.default_rng(len(tensors))
    for index, (datatype, shape) in enumerate(tensors):
        array = rng.integers(0, 100, shape).astype(DATATYPES[datatype].dtype)
        if datatype == "BYTES":
            array = np.frompyfunc(lambda value: b"x" * int(value), 1, 1)(array)
            array = np.asarray(array, dtype=object)
        asked.inputs.append(Tensor.from_array(f"t{index}", array, datatype))
    response = home.run(executor.execute(asked))
    assert len(response.outputs) == len(asked.inputs)
    for output, tensor in zip(response.outputs, asked.inputs, strict=True):
        assert (output.name, output.datatype, output.shape) == (tensor.name, tensor.datatype, tensor.shape)
        np.testing.assert_array_equal(output.array, tensor.array)


@pytest.fixture(scope="module")
def echo(home: Home) -> Iterator[tuple[Home, Executor]]:
    executor = home.executor("Echo")
    home.run(executor.load())
    yield home, executor
    home.run(executor.unload())
