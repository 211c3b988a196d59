"""CloudEvents headers in payloads, as code written for MLServer puts them there."""

from __future__ import annotations

import pytest

from oipserver.compat import cloudevents as ce
from oipserver.compat.settings import ModelSettings, Settings
from oipserver.types import InferenceRequest, InferenceResponse, Parameters


@pytest.mark.parametrize(
    "before", [None, Parameters(), Parameters(headers={"x": "1", ce.CLOUDEVENTS_HEADER_ID: "old"})]
)
def test_headers_are_added_to_those_there_are(before: Parameters | None) -> None:
    middleware = ce.CloudEventsMiddleware(Settings(server_name="s"))
    kept = dict(before.headers or {}) if before else {}
    request = middleware.request_middleware(
        InferenceRequest(id="7", inputs=[], parameters=before), ModelSettings(name="m")
    )
    assert request.parameters is not None
    assert request.parameters.headers == {
        **kept,
        ce.CLOUDEVENTS_HEADER_SPECVERSION: ce.CLOUDEVENTS_HEADER_SPECVERSION_DEFAULT,
        ce.CLOUDEVENTS_HEADER_SOURCE: "io.seldon.serving.deployment.s",
        ce.CLOUDEVENTS_HEADER_TYPE: ce.CloudEventsTypes.Request.value,
        ce.CLOUDEVENTS_HEADER_MODEL_ID: "m",
        ce.CLOUDEVENTS_HEADER_ENDPOINT: "m",
        ce.CLOUDEVENTS_HEADER_INFERENCE_SERVICE: "s",
        ce.CLOUDEVENTS_HEADER_ID: "7",
        ce.CLOUDEVENTS_HEADER_REQUEST_ID: "7",
    }


def test_a_response_without_an_id_tells_none() -> None:
    middleware = ce.CloudEventsMiddleware(Settings())
    response = middleware.response_middleware(InferenceResponse(model_name="m", outputs=[]), ModelSettings(name="m"))
    assert response.parameters is not None
    headers = response.parameters.headers
    assert headers is not None
    assert headers[ce.CLOUDEVENTS_HEADER_TYPE] == ce.CloudEventsTypes.Response.value
    assert ce.CLOUDEVENTS_HEADER_ID not in headers
    assert ce.CLOUDEVENTS_HEADER_NAMESPACE not in headers
