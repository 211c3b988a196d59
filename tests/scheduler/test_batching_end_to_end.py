"""Batching real models, in the server's process and under real concurrency."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from oipserver.errors import InvalidArgumentError
from oipserver.executor import InProcessExecutor
from oipserver.executor.pool import PoolManager
from oipserver.model import MLModel
from oipserver.protocol import InferRequest
from oipserver.registry import Servable
from oipserver.settings import ModelSettings, Settings, TensorSettings
from oipserver.tensor import Parameters, Tensor
from oipserver.types import InferenceRequest, InferenceResponse, ResponseOutput, TensorData

HERE = "tests.scheduler.test_batching_end_to_end"


class Affine(MLModel):
    """2x + 1, by the fast path; refuses negative numbers."""

    placement = "in-process"

    def infer_tensors(self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Parameters) -> list[Tensor]:
        array = inputs[0].array
        if (array < 0).any():
            raise InvalidArgumentError("no negative numbers")
        return [Tensor.from_array("y", array * 2 + 1)]


class Lengths(MLModel):
    """The lengths of strings, in plain Python; tells the headers it was given."""

    placement = "in-process"

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        lengths = [len(value) for value in payload.inputs[0].data]
        headers = payload.parameters.headers if payload.parameters else None
        return InferenceResponse(
            model_name=self.name,
            parameters={"saw": ",".join(sorted(headers or {}))},
            outputs=[
                ResponseOutput(name="n", shape=[len(lengths), 1], datatype="INT64", data=TensorData(root=lengths))
            ],
        )


async def serve(kind: type[MLModel], pools: PoolManager | None = None, **settings: Any) -> Servable:
    """A loaded model: in a worker where there are ``pools``, in this process otherwise."""
    model = ModelSettings(name="m", implementation=f"{HERE}.{kind.__name__}", **{"max_batch_size": 16, **settings})
    executor = pools.executor(model) if pools else InProcessExecutor(model)
    servable = Servable(model, executor, Settings())
    await servable.load()
    return servable


def numbers(*values: float) -> InferRequest:
    return InferRequest("m", [Tensor.from_array("x", np.array(values, "<f4").reshape(-1, 1))])


@pytest.mark.parametrize("max_batch_time", [0.0, 0.05])
def test_concurrent_clients_share_executions_and_each_gets_its_own_rows(max_batch_time: float) -> None:
    async def main() -> None:
        servable = await serve(Affine, max_batch_time=max_batch_time)

        async def client(number: int) -> None:
            for turn in range(20):
                value = float(100 * number + turn)
                answer = await servable.scheduler.submit(numbers(value, value + 1), 0)
                assert answer.outputs[0].array.tolist() == [[2 * value + 1], [2 * value + 3]]

        await asyncio.gather(*(client(number) for number in range(12)))
        assert servable.statistics.totals.inference_count == 12 * 20 * 2
        assert servable.statistics.totals.execution_count < 12 * 20 / 2
        assert max(servable.statistics.totals.batches) == 16
        await servable.unload()

    asyncio.run(main())


def test_one_bad_row_fails_its_caller_alone() -> None:
    async def main() -> None:
        servable = await serve(Affine)
        submits = [servable.scheduler.submit(numbers(value), 0) for value in (1, 2, -3, 4, 5)]
        answers = await asyncio.gather(*submits, return_exceptions=True)
        assert isinstance(answers[2], InvalidArgumentError)
        for value, answer in zip((1, 2, None, 4, 5), answers, strict=True):
            if value is not None:
                assert not isinstance(answer, BaseException)
                assert answer.outputs[0].array.tolist() == [[2 * value + 1]]
        await servable.unload()

    asyncio.run(main())


def test_a_model_in_plain_python_is_batched_too_and_sees_no_header_of_one_caller() -> None:
    async def main() -> None:
        servable = await serve(Lengths)

        def ask(text: str, **headers: str) -> InferRequest:
            array = np.array([[text.encode()]], object)
            return InferRequest("m", [Tensor("x", "BYTES", (1, 1), array, text=True)], headers=headers)

        await asyncio.gather(*(servable.scheduler.submit(ask("warm"), 0) for _ in range(2)))  # let them meet
        texts = ["", "a", "bb", "ccc"]
        answers = await asyncio.gather(
            *(servable.scheduler.submit(ask(text, **{"content-length": str(index)}), 0)
              for index, text in enumerate(texts))
        )  # fmt: skip
        assert [answer.outputs[0].array.tolist() for answer in answers] == [[[0]], [[1]], [[2]], [[3]]]
        assert [answer.parameters for answer in answers] == [{"saw": ""}] * 4
        assert max(servable.statistics.totals.batches) == 4
        await servable.unload()

    asyncio.run(main())


def test_metadata_with_a_fixed_first_dimension_turns_batching_off(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        servable = await serve(Affine, inputs=[TensorSettings(name="x", datatype="FP32", shape=[1, 1])])
        await asyncio.gather(*(servable.scheduler.submit(numbers(value), 0) for value in range(4)))
        assert list(servable.statistics.totals.batches) == [1]
        await servable.unload()

    asyncio.run(main())
    assert caplog.text.count("runs unbatched") == 1


def test_a_worker_is_given_batches_and_a_bad_row_in_one_fails_its_caller_alone() -> None:
    async def main() -> None:
        manager = PoolManager(Settings(parallel_workers=1))
        try:
            servable = await serve(Affine, manager)

            async def client(number: int) -> None:
                for turn in range(10):
                    value = float(100 * number + turn)
                    answer = await servable.scheduler.submit(numbers(value), 0)
                    assert answer.outputs[0].array.tolist() == [[2 * value + 1]]

            async def offender() -> None:
                for _ in range(3):
                    with pytest.raises(InvalidArgumentError, match="no negative numbers"):
                        await servable.scheduler.submit(numbers(1, -1), 0)

            await asyncio.gather(offender(), *(client(number) for number in range(8)))
            assert servable.statistics.totals.inference_count == 80
            assert max(servable.statistics.totals.batches) >= 4
            await servable.unload()
        finally:
            await manager.close()

    asyncio.run(main())


@pytest.mark.parametrize("max_batch_size", [0, 8])
def test_threads_and_the_loop_share_one_model(max_batch_size: int) -> None:
    """Every request is answered, whichever thread's release the waiting ones depend on."""

    async def main() -> None:
        servable = await serve(Affine, max_batch_size=max_batch_size)
        served_here = 0
        stop = threading.Event()

        def elsewhere() -> int:
            served = 0
            while not stop.is_set():
                answer = servable.scheduler.submit_here(numbers(3), 0)
                if answer is not None:
                    assert answer.outputs[0].array.tolist() == [[7]]
                    served += 1
            return served

        threads = [asyncio.create_task(asyncio.to_thread(elsewhere)) for _ in range(3)]

        async def client(number: int) -> None:
            for turn in range(100):
                value = float(1000 * number + turn)
                answer = await servable.scheduler.submit(numbers(value), 0)
                assert answer.outputs[0].array.tolist() == [[2 * value + 1]]
                await asyncio.sleep(0)

        async with asyncio.timeout(60):
            await asyncio.gather(*(client(number) for number in range(4)))
        stop.set()
        served_here = sum(await asyncio.gather(*threads))
        assert servable.statistics.totals.inference_count == 400 + served_here
        assert servable.scheduler.queued == 0
        await servable.unload()

    asyncio.run(main())
