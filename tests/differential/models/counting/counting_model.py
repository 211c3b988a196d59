import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class CountingModel(MLModel):
    """Answers how often it was asked; kept answers tell themselves by that."""

    async def load(self) -> bool:
        self._asked = 0
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        self._asked += 1
        asked = np.array([[self._asked]], dtype=np.int64)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("asked", asked)])
