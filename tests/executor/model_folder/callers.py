"""Models that call other models, for the tests of what carries their calls."""

# ruff: noqa: ASYNC240

import asyncio
import os
from pathlib import Path

import numpy as np

from oipserver import MLModel
from oipserver.codecs import NumpyCodec
from oipserver.types import InferenceResponse

MARK = Path(os.environ.get("DIES_ONCE_MARK", ""))


def answer(model, **arrays):
    outputs = [NumpyCodec.encode_output(name, array) for name, array in arrays.items()]
    return InferenceResponse(model_name=model.name, outputs=outputs)


class Asker(MLModel):
    """The sum of what the model ``other`` answers to its inputs, asked for each at once."""

    async def predict(self, payload):
        other = self.models("other")
        asked = [other.infer(x=NumpyCodec.decode_input(tensor)) for tensor in payload.inputs]
        answers = await asyncio.gather(*asked)
        return answer(self, y=sum(got["y"] for got in answers))


class Reader(MLModel):
    """How many parts the model ``other`` gives; as many as its first element are read, all where it is negative."""

    async def predict(self, payload):
        x = NumpyCodec.decode_input(payload.inputs[0])
        parts = 0
        stream = self.models("other").stream(x=x)
        async for _ in stream:
            parts += 1
            if parts == x.ravel()[0]:
                break
        await stream.aclose()
        return answer(self, y=np.array([parts]))


class DiesOnce(MLModel):
    """Ends its process the first time; then asks the model ``other``."""

    async def predict(self, payload):
        if not MARK.exists():
            MARK.touch()
            os._exit(1)
        got = await self.models("other").infer(x=NumpyCodec.decode_input(payload.inputs[0]))
        return answer(self, y=got["y"])


class DiesWaiting(MLModel):
    """Asks the model ``other``, and ends its process while it waits."""

    async def predict(self, payload):
        asyncio.get_running_loop().call_later(0.05, os._exit, 1)
        await self.models("other").infer(x=NumpyCodec.decode_input(payload.inputs[0]))


class Controller(MLModel):
    """Loads and unloads the model ``other``, and tells whether it was ready before."""

    async def load(self):
        self.calls = self._caller

    async def predict(self, payload):
        ready = await self.models("other").ready()
        await self.calls.load("other", "{}", {"file:1/model.onnx": b"\x00\xff"})
        await self.calls.unload("other", True)
        return answer(self, y=np.array([ready]))
