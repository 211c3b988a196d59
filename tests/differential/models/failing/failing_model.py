from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.errors import InferenceError, MLServerError, ModelNotFound, ModelParametersMissing
from mlserver.types import InferenceRequest, InferenceResponse


class FailingModel(MLModel):
    """Fails in the way its request names."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        way = StringCodec.decode_input(payload.inputs[0])[0]
        if way == "value":
            raise ValueError("value err")
        if way == "inference":
            raise InferenceError("inference err")
        if way == "teapot":
            raise MLServerError("mlserver err", 418)
        if way == "unprocessable":
            raise MLServerError("mlserver err", 422)
        if way == "forbidden":
            raise MLServerError("mlserver err", 403)
        if way == "busy":
            raise MLServerError("mlserver err", 503)
        if way == "internal":
            raise MLServerError("mlserver err", 500)
        if way == "not-found":
            raise ModelNotFound("other")
        if way == "parameters":
            raise ModelParametersMissing(self.name)
        return None  # what a model that forgets to answer does
