"""``mlserver.cloudevents``: the headers that tell one inference as an event, and putting them into payloads."""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

from ..plane.annotated import CloudEvents
from ..settings import ModelSettings, Settings
from ..types import InferenceRequest, InferenceResponse, Parameters

CLOUDEVENTS_HEADER_ID = "Ce-Id"
CLOUDEVENTS_HEADER_SPECVERSION = "Ce-Specversion"
CLOUDEVENTS_HEADER_SOURCE = "Ce-Source"
CLOUDEVENTS_HEADER_TYPE = "Ce-Type"
CLOUDEVENTS_HEADER_SPECVERSION_DEFAULT = "0.3"

CLOUDEVENTS_HEADER_REQUEST_ID = "Ce-Requestid"
CLOUDEVENTS_HEADER_MODEL_ID = "Ce-Modelid"
CLOUDEVENTS_HEADER_INFERENCE_SERVICE = "Ce-Inferenceservicename"
CLOUDEVENTS_HEADER_NAMESPACE = "Ce-Namespace"
CLOUDEVENTS_HEADER_ENDPOINT = "Ce-Endpoint"

_Payload = TypeVar("_Payload", InferenceRequest, InferenceResponse)


class CloudEventsTypes(Enum):
    """What ``Ce-Type`` tells."""

    Request = "io.seldon.serving.inference.request"
    Response = "io.seldon.serving.inference.response"


class CloudEventsMiddleware:
    """Puts the headers of a server with ``settings`` into payloads, where the server has not done it already."""

    def __init__(self, settings: Settings) -> None:
        self._events = CloudEvents(settings.server_name)

    def request_middleware(self, request: InferenceRequest, model_settings: ModelSettings) -> InferenceRequest:
        """Add the headers of a request, and return it."""
        return self._add("request", request, model_settings)

    def response_middleware(self, response: InferenceResponse, model_settings: ModelSettings) -> InferenceResponse:
        """Add the headers of a response, and return it."""
        return self._add("response", response, model_settings)

    def _add(self, kind: str, payload: _Payload, model_settings: ModelSettings) -> _Payload:
        if payload.parameters is None:
            payload.parameters = Parameters()
        told = self._events.of(kind, model_settings.name, payload.id or "")
        payload.parameters.headers = {**(payload.parameters.headers or {}), **told}
        return payload
