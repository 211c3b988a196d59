"""What only the in-process executor promises: models' coroutines have a task of their own."""

from __future__ import annotations

import asyncio

import numpy as np

from oipserver.executor import InProcessExecutor
from oipserver.model import MLModel
from oipserver.protocol import InferRequest
from oipserver.settings import ModelSettings
from oipserver.tensor import Tensor
from oipserver.types import InferenceRequest, InferenceResponse, ResponseOutput
from oipserver.wire.rest.eager import run_eagerly


class AsksForItsTask(MLModel):
    """Answers whether its coroutine ran in a task."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        before = asyncio.current_task()
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        own = isinstance(before, asyncio.Task) and before is asyncio.current_task()
        return InferenceResponse(
            model_name=self.name, outputs=[ResponseOutput(name="own", shape=[1], datatype="BOOL", data=[own])]
        )


def test_a_models_coroutine_has_a_task_also_where_the_wire_began_without_one() -> None:
    async def main() -> None:
        executor = InProcessExecutor(ModelSettings(name="m", implementation=f"{__name__}.AsksForItsTask"))
        executor._host._model = AsksForItsTask(ModelSettings(name="m"))
        loop = asyncio.get_running_loop()
        request = InferRequest("m", [Tensor.from_array("x", np.zeros(1))])
        begun: asyncio.Future[asyncio.Future[object]] = loop.create_future()
        loop.call_soon(lambda: begun.set_result(run_eagerly(executor.execute(request), loop)))
        response = await (await begun)
        assert response.outputs[0].array.tolist() == [True]

    asyncio.run(main())
