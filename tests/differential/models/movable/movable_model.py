from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse


class MovableModel(MLModel):
    """Is unloaded and loaded."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        return InferenceResponse(model_name=self.name, outputs=[])
