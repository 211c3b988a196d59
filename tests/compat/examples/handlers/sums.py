from typing import Dict, List

import mlserver
from fastapi import Body, Request
from mlserver import MLModel, types
from mlserver.codecs import NumpyCodec
from mlserver.handlers import custom_handler
from mlserver.rest.responses import Response
from mlserver.utils import generate_uuid


class SumModel(MLModel):
    async def load(self) -> bool:
        mlserver.register("sums_total", "How large the sums were")
        return True

    @custom_handler(rest_path="/sums/plain")
    async def plain(self, payload: List[int] = Body(...)) -> int:
        return sum(payload) + self._settings.parameters.extra["bonus"]

    @custom_handler(rest_path="/sums/{name}/greeting", rest_method="GET")
    async def greeting(self, name: str) -> Dict[str, str]:
        return {"hello": name}

    @custom_handler(rest_path="/sums/raw")
    async def raw(self, request: Request) -> Response:
        body = await request.json()
        return Response(content={"id": generate_uuid(), "total": sum(body)}, status_code=202)

    async def predict(self, payload: types.InferenceRequest) -> types.InferenceResponse:
        decoded = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        total = decoded.sum(axis=1, keepdims=True)
        mlserver.log(sums_total=float(total.sum()))
        response = types.InferenceResponse(
            id=payload.id,
            model_name=self.name,
            model_version=self.version,
            outputs=[NumpyCodec.encode_output(name="total", payload=total)],
        )
        if payload.parameters and payload.parameters.headers:
            echoed = {key: value for key, value in payload.parameters.headers.items() if key.startswith("x-")}
            response.parameters = types.Parameters(headers=echoed)
        return response
