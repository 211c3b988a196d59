from typing import List

from fastapi import Body, Request
from mlserver import MLModel
from mlserver.handlers import custom_handler
from mlserver.rest.responses import Response
from mlserver.types import InferenceRequest, InferenceResponse


class HandlersModel(MLModel):
    """Two REST handlers of its own."""

    @custom_handler(rest_path="/differential/sum")
    async def total(self, payload: List[int] = Body(...)) -> int:
        return sum(payload)

    @custom_handler(rest_path="/differential/raw")
    async def raw(self, request: Request) -> Response:
        return Response(content={"received": await request.json()}, status_code=202)

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        return InferenceResponse(model_name=self.name, outputs=[])
