"""What the REST wire would send of a codec's result."""

from __future__ import annotations

from typing import Any

import orjson

from oipserver.protocol import InferRequest
from oipserver.protocol.v2_json import write_response
from oipserver.types import InferenceRequest, InferenceResponse, RequestInput, ResponseOutput, from_public


def rest_output(output: RequestInput | ResponseOutput) -> dict[str, Any]:
    """An output, or an input as if it were one, as the member of ``outputs`` it would be."""
    return rest_outputs([output])[0]


def rest_outputs(tensors: list[Any]) -> list[dict[str, Any]]:
    outputs = [ResponseOutput(**{name: getattr(each, name) for name in each.model_fields_set}) for each in tensors]
    response = from_public(InferenceResponse(model_name="m", outputs=outputs), InferRequest("m", []))
    written = orjson.loads(write_response(response, nan_as_null=True))
    members: list[dict[str, Any]] = written["outputs"]
    return members


def rest_request(request: InferenceRequest) -> dict[str, Any]:
    """A request as a client would write it."""
    written: dict[str, Any] = request.model_dump(exclude={"inputs"})
    return {**written, "inputs": rest_outputs(request.inputs)}
