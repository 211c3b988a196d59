"""The server keeps to its own OpenAPI document, whatever it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings

from tests.support.models import write_identity_model
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

#: Told in the document: an encoding or a parameter that is not offered, and a model that is not there now.
DOCUMENTED_5XX = {501, 503}

#: MLflow's scoring server, whose clients know errors of another form.
IN_MLFLOW_FORM = ("/invocations", "/models/{model_name}/invocations")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root: Path = tmp_path_factory.mktemp("models")
    write_identity_model(root / "m", "FP32", 2)
    with ServerProcess(root) as process:
        yield process


def check(response: Any) -> None:
    """No failure of the server but those it tells of, and every error as {"error": text}."""
    assert response.status_code < 500 or response.status_code in DOCUMENTED_5XX, response.text
    if response.status_code >= 400:
        assert response.headers["content-type"] == ["application/json"], response.headers
        body = response.json()
        assert set(body) == {"error"}
        assert isinstance(body["error"], str)
        assert body["error"]
        assert "Traceback" not in body["error"]


def check_mlflow(response: Any) -> None:
    """As ``check``: errors have a code and a message, but a content type nobody knows is refused in plain text."""
    assert response.status_code < 500 or response.status_code in DOCUMENTED_5XX, response.text
    if response.status_code == 415:
        assert response.headers["content-type"] == ["text/plain; charset=utf-8"]
    elif response.status_code >= 400:
        body = response.json()
        assert set(body) <= {"error_code", "message", "sqlstate", "error_class", "error"}, body
        assert "Traceback" not in response.text


def test_every_operation(server: ServerProcess) -> None:
    schema = schemathesis.openapi.from_url(server.url("/v2/docs/dataplane.json"))
    operations = [found.ok() for found in schema.get_all_operations()]
    assert {operation.path for operation in operations} >= {"/v2", "/v2/models/{model_name}/infer"}
    for operation in operations:
        if operation.path.endswith("/unload"):
            continue  # the model is wanted to the end; any other name is refused in the same words as by load

        @given(case=operation.as_strategy())
        @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        def ask(case: Any) -> None:
            try:
                response = case.call()
            except requests.ReadTimeout as error:
                raise AssertionError(f"no answer: {case.as_curl_command()}") from error
            assert response.status_code != 500, f"{case.as_curl_command()}\n{server.output[-3000:]}"
            if case.operation.path in IN_MLFLOW_FORM:
                check_mlflow(response)
            else:
                check(response)

        ask()


def test_it_is_still_there_and_well(server: ServerProcess) -> None:
    assert server.get("/v2/health/live").status_code == 200
    answer = server.infer("m", {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1.5]}]})
    assert answer.json()["outputs"][0]["data"] == [1.5]
