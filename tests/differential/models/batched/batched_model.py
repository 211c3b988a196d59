from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse


class BatchedModel(MLModel):
    """Sums of rows, computed for several requests at once; a negative number is an error."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        if (rows < 0).any():
            raise InferenceError("negative")
        total = NumpyCodec.encode_output("total", rows.sum(axis=1, keepdims=True))
        return InferenceResponse(model_name=self.name, outputs=[total])
