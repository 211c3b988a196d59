"""A model sees its shapes and callers see theirs, whichever way it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oipserver.errors import InvalidArgumentError, OIPError
from oipserver.executor import InProcessExecutor
from oipserver.executor.reshaping import Reshape, ReshapingExecutor
from oipserver.model import MLModel
from oipserver.protocol import InferRequest, InferResponse
from oipserver.settings import ModelSettings
from oipserver.tensor import Tensor

VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


class Echo(MLModel):
    """Answers with ``x`` as it came, which must be 2 x 2 in each row."""

    def infer_tensors(self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Any) -> Sequence[Tensor]:
        assert inputs[0].array.shape == inputs[0].shape == (3, 2, 2)
        return [inputs[0].renamed("y"), inputs[0].renamed("z")]


class Lists(MLModel):
    """Answers every other request."""

    async def infer_requests(self, requests: Sequence[InferRequest]) -> Sequence[InferResponse | OIPError]:
        return [
            InferResponse("m", [request.inputs[0].renamed("y")]) if index % 2 else InvalidArgumentError("odd")
            for index, request in enumerate(requests)
        ]


def request() -> InferRequest:
    return InferRequest("m", [Tensor.from_array("x", VALUES)])


def asked(kind: str, ask: Callable[[ReshapingExecutor], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        inner = InProcessExecutor(ModelSettings(name="m", implementation=f"{__name__}.{kind}"))
        await inner.load()
        inputs, outputs = {"x": Reshape((4,), (2, 2), batched=True)}, {"y": Reshape((2, 2), (1, 4), batched=True)}
        executor = ReshapingExecutor(inner, inputs, outputs)
        try:
            return await ask(executor)
        finally:
            await executor.unload()

    return asyncio.run(main())


async def here(executor: ReshapingExecutor) -> InferResponse | None:
    return await asyncio.to_thread(executor.execute_here, request())


async def first(executor: ReshapingExecutor) -> InferResponse:
    answers: AsyncIterator[InferResponse] = executor.stream(request())
    (answer,) = [answer async for answer in answers]
    return answer


@pytest.mark.parametrize("ask", [lambda executor: executor.execute(request()), here, first])
def test_every_way(ask: Callable[[ReshapingExecutor], Awaitable[Any]]) -> None:
    y, z = asked("Echo", ask).outputs
    np.testing.assert_array_equal(y.array, VALUES.reshape(3, 1, 4))
    np.testing.assert_array_equal(z.array, VALUES.reshape(3, 2, 2))
    assert y.array.base is not None  # a view, no copy


def test_lists_of_requests() -> None:
    failed, answered = asked("Lists", lambda executor: executor.execute_all([request(), request()]))
    assert isinstance(failed, InvalidArgumentError)
    assert answered.outputs[0].shape == (3, 1, 4)


def test_the_request_stays_what_it_was() -> None:
    kept = request()
    asked("Echo", lambda executor: executor.execute(kept))
    assert kept.inputs[0].shape == (3, 4)


def test_changes_reach_the_scheduler() -> None:
    inner = InProcessExecutor(ModelSettings(name="m", implementation=f"{__name__}.Echo"))
    executor = ReshapingExecutor(inner, {}, {})
    calls: list[str] = []
    executor.changed = lambda: calls.append("changed")
    inner.changed()
    assert calls == ["changed"]


def test_another_shape_is_left_to_whom_it_concerns() -> None:
    tensor = Tensor.from_array("x", np.zeros((3, 5)))
    assert Reshape((4,), (2, 2), batched=True)(tensor) is tensor
    assert Reshape((4, 1), (2, 2), batched=True)(tensor) is tensor


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.booleans())
def test_there_and_back(dims: list[int], batched: bool) -> None:
    given_shape = tuple(-1 for _ in dims)
    wanted = (1, *given_shape[:1], 1, *given_shape[1:])
    array = np.arange(np.prod([2, *dims])).reshape([2, *dims]) if batched else np.zeros(dims, np.int64)
    tensor = Tensor.from_array("x", array)
    there = Reshape(given_shape, wanted, batched)(tensor)
    assert len(there.shape) == len(array.shape) + 2
    assert Reshape(wanted, given_shape, batched)(there).shape == tensor.shape
