from mlserver import MLModel, types
from mlserver.codecs import NumpyCodec


class TotalModel(MLModel):
    """Sums of rows; headers of the request that start with x- come back."""

    async def predict(self, payload: types.InferenceRequest) -> types.InferenceResponse:
        total = self.decode(payload.inputs[0], default_codec=NumpyCodec).sum(axis=1, keepdims=True)
        response = types.InferenceResponse(
            id=payload.id,
            model_name=self.name,
            model_version=self.version,
            outputs=[NumpyCodec.encode_output("total", total)],
        )
        headers = payload.parameters.headers if payload.parameters and payload.parameters.headers else {}
        response.parameters = types.Parameters(headers={k: v for k, v in headers.items() if k.startswith("x-")})
        return response
