from typing import List

from fastapi import Body, Header, HTTPException, Query, Request
from mlserver import MLModel
from mlserver.errors import MLServerError
from mlserver.handlers import custom_handler
from mlserver.rest.responses import Response
from mlserver.types import InferenceRequest, InferenceResponse


class HandlersModel(MLModel):
    """REST handlers of its own."""

    @custom_handler(rest_path="/differential/sum")
    async def total(self, payload: List[int] = Body(...)) -> int:
        return sum(payload)

    @custom_handler(rest_path="/differential/raw")
    async def raw(self, request: Request) -> Response:
        return Response(content={"received": await request.json()}, status_code=202)

    @custom_handler(rest_path="/differential/told", rest_method="GET")
    async def told(self, number: int, words: List[str] = Query([]), x_own: str = Header("none")) -> dict:
        return {"number": number, "words": words, "own": x_own}

    @custom_handler(rest_path="/differential/fails")
    async def fails(self, how: str = Body(...)) -> str:
        if how == "own":
            raise MLServerError("own err", 418)
        if how == "http":
            raise HTTPException(409, "http err")
        raise ValueError("value err")

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        return InferenceResponse(model_name=self.name, outputs=[])
