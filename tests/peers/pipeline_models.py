"""Models that call other models, as their users would write them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from oipserver import MLModel, Tensor
from oipserver.codecs import NumpyCodec
from oipserver.errors import OIPError
from oipserver.peers import executing
from oipserver.types import InferenceRequest, InferenceResponse


def answer(model: MLModel, **arrays: np.ndarray) -> InferenceResponse:
    outputs = [NumpyCodec.encode_output(name, array) for name, array in arrays.items()]
    return InferenceResponse(model_name=model.name, outputs=outputs)


class Double(MLModel):
    """Twice its input, by the fast path; negative numbers are refused."""

    def infer_tensors(self, inputs, outputs, parameters):
        array = inputs[0].array
        if (array < 0).any():
            raise OIPError("model 'double' takes no negative numbers")
        return [Tensor.from_array("y", array * 2)]


class Front(MLModel):
    """(2x + 2(x + 1)), asked side by side, of the model ``double``."""

    async def predict(self, payload):
        x = NumpyCodec.decode_input(payload.inputs[0])
        double = self.models("double")
        first, second = await asyncio.gather(double.infer(x=x), double.infer({"x": Tensor.from_array("x", x + 1)}))
        return answer(self, y=first["y"] + second["y"])


class Hand(MLModel):
    """Hands its request on as it came to the model that its parameter names."""

    async def predict(self, payload: InferenceRequest):
        name = payload.parameters.to if payload.parameters and payload.parameters.model_extra else "double"
        payload.parameters = None
        got = await self.models(name).infer(payload)
        return InferenceResponse(model_name=self.name, outputs=got.outputs)


class Chain(MLModel):
    """Asks the next one of a chain of models: ``chain-1`` asks ``chain-2``, and so on."""

    async def predict(self, payload):
        number = int(self.name.rpartition("-")[2])
        following = self.models(f"chain-{number + 1}")
        if await following.ready():
            return await following.infer(payload)
        parent = executing.get()
        return answer(self, path=np.array([len(parent.path)]))


class Parts(MLModel):
    """As many parts as its input says."""

    async def predict_stream(self, payloads):
        async for payload in payloads:
            for number in range(int(NumpyCodec.decode_input(payload.inputs[0]).ravel()[0])):
                yield answer(self, part=np.array([number]))


class Collect(MLModel):
    """The parts of the model ``parts``; the first three alone where there are more than 10."""

    async def predict(self, payload):
        x = NumpyCodec.decode_input(payload.inputs[0])
        parts = []
        stream = self.models("parts").stream(x=x)
        async for part in stream:
            parts.append(int(part["part"].ravel()[0]))
            if len(parts) == 3 and x.ravel()[0] > 10:
                await stream.aclose()
                break
        return answer(self, parts=np.array(parts))


class Slow(MLModel):
    """Writes beside it when it began and when it was given up."""

    async def predict(self, payload):
        folder = Path(self.settings.source).parent
        (folder / "began").touch()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            (folder / "given-up").touch()
            raise
        return answer(self, y=np.zeros(1))


class Impatient(MLModel):
    """Asks the model ``slow``, and waits for as long as its parameter says."""

    async def predict(self, payload):
        x = NumpyCodec.decode_input(payload.inputs[0])
        extra = (payload.parameters and payload.parameters.model_extra) or {}
        await self.models("slow").infer(x=x, within=extra.get("within"))
