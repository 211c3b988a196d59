"""Time that only tests move, and an executor that runs what a test's script says."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import numpy as np

from oipserver.errors import OIPError
from oipserver.executor import Executor
from oipserver.protocol import InferRequest, InferResponse, ModelMetadata, TensorMetadata, Timings
from oipserver.runtime import ModelFace
from oipserver.tensor import Tensor

T = TypeVar("T")
MS = 1_000_000


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still while anything can run, and then jumps to the next timer.

    Where nothing can run and no timer is set, nothing ever will: that is an error at once, not a test that hangs.
    """

    def __init__(self) -> None:
        super().__init__(_JumpingSelector(self))
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def clock(self) -> int:
        """The loop's time as ``time.monotonic_ns`` would tell it."""
        return round(self.now * 1e9)


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events:
            if timeout is None:
                raise AssertionError("nothing can run, no timer is set: somebody waits for ever")
            self._loop.now += timeout
        return events


def run(main: Callable[[VirtualTimeLoop], Coroutine[Any, Any, T]]) -> T:
    """What ``main`` returns, run on a loop of its own; tasks left over and errors nobody saw are failures."""
    loop = VirtualTimeLoop()
    unseen: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unseen.append(context))
    try:
        result = loop.run_until_complete(main(loop))
        left = asyncio.all_tasks(loop)
        assert not left, left
    finally:
        for task in asyncio.all_tasks(loop):  # left over where the test failed
            task.cancel()
        loop.run_until_complete(turns(8))
        loop.close()
    assert not unseen, unseen
    return result


async def turns(count: int = 4) -> None:
    """Let everything run that can, without time passing."""
    for _ in range(count):
        await asyncio.sleep(0)


class Run:
    """One execution under way in a ScriptedExecutor."""

    def __init__(self, request: InferRequest) -> None:
        self.request = request
        self.done: asyncio.Future[InferResponse] = asyncio.get_running_loop().create_future()

    @property
    def values(self) -> list[float]:
        """The rows of the only input, each of one element."""
        return [float(value) for value in self.request.inputs[0].array.reshape(-1)]

    def finish(self) -> None:
        """Answer with the doubled rows."""
        self.done.set_result(doubled(self.request))

    def fail(self, error: BaseException) -> None:
        self.done.set_exception(error)


class ScriptedExecutor(Executor):
    """Runs nothing by itself: ``runs`` holds what was given to it, for the test to finish or fail.

    With ``answer`` every execution finishes at once with what it returns, without suspending its caller.
    """

    def __init__(self, slots: int = 1, answer: Callable[[InferRequest], InferResponse] | None = None) -> None:
        self.runs: list[Run] = []
        self.cancelled = 0
        self.streams_closed = 0
        self.reason = ""
        self.answer = answer
        self._slots = slots

    async def load(self) -> ModelFace:
        return face()

    async def unload(self) -> None:
        pass

    @property
    def slots(self) -> int:
        return self._slots

    @slots.setter
    def slots(self, value: int) -> None:
        self._slots = value
        self.changed()

    @property
    def unavailable_reason(self) -> str:
        return self.reason

    @property
    def runs_inline(self) -> bool:
        return self.answer is not None

    async def execute(self, request: InferRequest) -> InferResponse:
        run = Run(request)
        self.runs.append(run)
        if self.answer is not None:
            return self.answer(request)
        try:
            return await run.done
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def execute_here(self, request: InferRequest) -> InferResponse | None:
        self.runs.append(Run(request))
        return doubled(request)

    async def stream(self, request: InferRequest) -> AsyncIterator[InferResponse]:
        try:
            for _ in range(3):
                run = Run(request)
                self.runs.append(run)
                yield await run.done
        finally:
            self.streams_closed += 1

    @property
    def batches(self) -> list[list[float]]:
        """The rows of every execution so far."""
        return [run.values for run in self.runs]


def face(*shape: int, fast: bool = True) -> ModelFace:
    """What a model with one input of ``shape`` tells; without a shape, nothing."""
    inputs = (TensorMetadata("x", "FP32", shape),) if shape else ()
    return ModelFace(ModelMetadata("m", inputs=inputs), fast=fast)


def request(*values: float, **more: Any) -> InferRequest:
    """A request with a row for each value."""
    return InferRequest("m", [Tensor.from_array("x", np.array(values, "<f4").reshape(-1, 1))], **more)


def doubled(request: InferRequest) -> InferResponse:
    """The answer of a model that doubles its input."""
    output = Tensor.from_array("y", request.inputs[0].array * 2)
    return InferResponse("m", [output], timings=Timings(infer_start=1, infer_end=2))


def rows(response: InferResponse) -> list[float]:
    """The elements of the only output."""
    return [float(value) for value in response.outputs[0].array.reshape(-1)]


async def error_of(awaitable: Awaitable[object]) -> OIPError:
    """The OIPError that ``awaitable`` ends with."""
    try:
        result = await awaitable
    except OIPError as error:
        return error
    raise AssertionError(f"expected an error, got {result!r}")
