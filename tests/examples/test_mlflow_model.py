"""The example of an MLflow model in MLflow's own form, as its README says."""

from __future__ import annotations

import httpx
import pytest

from tests.conftest import EXAMPLES
from tests.support.server_process import ServerProcess

pytest.importorskip("yaml", reason="PyYAML, which MLflow brings, is not installed")
pytest.importorskip("xgboost", reason="XGBoost is not installed")


def predictions(server: ServerProcess, body: bytes) -> str:
    url = server.url("/models/flowers/invocations")
    response = httpx.post(url, content=body, headers={"content-type": "application/json"}, timeout=30)
    return response.text


@pytest.mark.process
def test_the_example_that_was_saved_with_it(examples_server: ServerProcess) -> None:
    folder = EXAMPLES / "mlflow-model"
    answer = predictions(examples_server, (folder / "flowers" / "serving_input_example.json").read_bytes())
    assert answer in (folder / "README.md").read_text()
