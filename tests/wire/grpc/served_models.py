"""Models that the tests of the gRPC wire serve."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import numpy as np

from oipserver import MLModel
from oipserver.errors import UnavailableError
from oipserver.protocol import InferRequest, InferResponse, Timings
from oipserver.tensor import Parameters, Tensor
from oipserver.types import InferenceRequest, InferenceResponse, ResponseOutput
from oipserver.types import Parameters as PublicParameters


class Add(MLModel):
    """a + b, computed in the calling thread."""

    placement = "in-process"

    def infer_tensors(
        self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Parameters
    ) -> Sequence[Tensor]:
        first, second = inputs
        return [Tensor.from_array("sum", first.array + second.array)]


class Echo(MLModel):
    """Every input as an output, with its parameters and the request's."""

    placement = "in-process"

    def infer_tensors(
        self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Parameters
    ) -> Sequence[Tensor]:
        # Arrays are asked for, so that the data do not just pass through as bytes.
        return [
            Tensor(t.name, t.datatype, t.shape, array=t.array, parameters={**parameters, **(t.parameters or {})})
            for t in inputs
        ]


class Broken(MLModel):
    """Fails as a model's bug does."""

    placement = "in-process"

    def infer_tensors(
        self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Parameters
    ) -> Sequence[Tensor]:
        raise ZeroDivisionError("inside the model")


class Busy(MLModel):
    """Refuses, saying when to try again."""

    placement = "in-process"

    def infer_tensors(
        self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Parameters
    ) -> Sequence[Tensor]:
        raise UnavailableError("busy", retry_after=1.5)


def text(name: str, value: str) -> ResponseOutput:
    return ResponseOutput(name=name, datatype="BYTES", shape=[1], data=[value])


class Headers(MLModel):
    """Answers with the request's ``x-color`` header, and sends headers back."""

    placement = "in-process"

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        assert payload.parameters is not None
        headers = payload.parameters.headers or {}
        return InferenceResponse(
            model_name=self.name,
            outputs=[text("color", headers.get("x-color", ""))],
            parameters=PublicParameters(headers={"X-Shade": "dark", "bad key": "x", "x-bad": "line\nbreak"}),
        )


class Gate:
    """Lets requests wait in a model until it is opened, and counts them; asked from any thread."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.cancelled = threading.Event()
        self.made = 0
        self.loop: asyncio.AbstractEventLoop | None = None
        self._event: asyncio.Event | None = None

    async def pass_through(self) -> None:
        self.loop = asyncio.get_running_loop()
        if self._event is None:
            self._event = asyncio.Event()
        self.entered.release()
        try:
            await self._event.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    def wait_for(self, count: int) -> None:
        """Wait until ``count`` more requests are inside."""
        for _ in range(count):
            assert self.entered.acquire(timeout=20), "a request did not reach the model"

    def open(self) -> None:
        assert self.loop is not None
        assert self._event is not None
        self.loop.call_soon_threadsafe(self._event.set)


GATES: dict[str, Gate] = {}


class Gated(MLModel):
    """Waits at the gate of its name, then answers with the request's id."""

    placement = "in-process"

    async def load(self) -> bool:
        GATES[self.name] = Gate()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        await GATES[self.name].pass_through()
        return InferenceResponse(model_name=self.name, outputs=[text("id", payload.id or "")])


class Marking(MLModel):
    """Answers in two pieces, the second of which is marked as the last."""

    placement = "in-process"
    decoupled = True

    async def infer_requests(self, requests: Sequence[InferRequest]) -> Sequence[InferResponse]:
        raise AssertionError("a decoupled model is asked for pieces alone")

    async def stream_request(self, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
        for last in (False, True):
            outputs = [Tensor.from_array("last", np.array([last]))]
            yield InferResponse(request.model_name, outputs, timings=Timings(1, 1, 1, 1), final=last)


class Pieces(MLModel):
    """Counts up to its input in as many pieces; waits at its gate before the last."""

    placement = "in-process"

    async def load(self) -> bool:
        GATES[self.name] = Gate()
        return True

    async def predict_stream(self, payloads: AsyncIterator[InferenceRequest]) -> AsyncIterator[InferenceResponse]:
        async for payload in payloads:
            count = int(np.asarray(payload.inputs[0].data.root).item())
            for index in range(count):
                if index == count - 1:
                    await GATES[self.name].pass_through()
                GATES[self.name].made += 1
                yield InferenceResponse(model_name=self.name, outputs=[text("piece", str(index))])
