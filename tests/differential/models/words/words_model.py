from typing import AsyncIterator

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse


class WordsModel(MLModel):
    """Streams the words of a text; the word "stop" is an error."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        return self.answer(StringCodec.decode_input(payload.inputs[0])[0])

    async def predict_stream(self, payloads: AsyncIterator[InferenceRequest]) -> AsyncIterator[InferenceResponse]:
        async for payload in payloads:
            for word in StringCodec.decode_input(payload.inputs[0])[0].split():
                if word == "stop":
                    raise InferenceError("enough said")
                yield self.answer(word)

    def answer(self, word: str) -> InferenceResponse:
        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("word", [word])])
