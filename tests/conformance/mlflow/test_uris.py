"""Models by the URIs that MLflow knows them by, from a real store: versions, aliases, and an alias that moves."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from oipserver.repository.mlflow_uri import MLflowRepository, is_mlflow_uri
from tests.support.server_process import ServerProcess

mlflow: Any = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install mlflow")
pytestmark = pytest.mark.process

Serve = Callable[..., ServerProcess]
ROWS = {"dataframe_split": {"columns": ["a", "b", "c", "d"], "data": [[1.0, 2.0, 3.0, 4.0]]}}


@pytest.fixture(scope="module")
def store(mlflow_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The URI of a store on SQLite, where ``wine`` has a version that answers with a class and one with a number."""
    folder = tmp_path_factory.mktemp("store")
    before = mlflow.get_tracking_uri()
    uri = f"sqlite:///{folder}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient()
    client.create_registered_model("wine")
    for model in ("sk_df", "xgb_booster"):
        client.create_model_version("wine", (mlflow_models / model).as_uri())
    client.set_registered_model_alias("wine", "champion", "1")
    yield uri
    mlflow.set_tracking_uri(before)


def environ(store: str) -> dict[str, str]:
    return {"MLFLOW_TRACKING_URI": store}


def predictions(server: ServerProcess) -> list[float]:
    response = httpx.post(server.url("/invocations"), json=ROWS, timeout=30)
    assert response.status_code == 200, response.text
    found: list[float] = response.json()["predictions"]
    return found


@pytest.mark.parametrize(("uri", "version"), [("models:/wine/2", "2"), ("models:/wine/latest", "2")])
def test_a_version(serve: Serve, store: str, uri: str, version: str) -> None:
    server = serve(Path(uri), environ=environ(store))
    assert predictions(server)[0] not in (0, 1)
    assert httpx.get(server.url("/v2/models/wine")).json()["versions"] == [version]


def test_an_alias_that_moves_loses_no_request(serve: Serve, store: str) -> None:
    options = ("--model-control-mode", "poll", "--repository-poll-secs", "0.5")
    server = serve(Path("models:/wine@champion"), *options, environ=environ(store))
    client = mlflow.MlflowClient(tracking_uri=store)
    assert predictions(server) == [1]
    try:
        client.set_registered_model_alias("wine", "champion", "2")
        deadline = time.monotonic() + 60
        while predictions(server) == [1]:  # each of which must be answered
            assert time.monotonic() < deadline, server.output
        assert httpx.get(server.url("/v2/models/wine")).json()["versions"] == ["2"]
    finally:
        client.set_registered_model_alias("wine", "champion", "1")
    while predictions(server) != [1]:
        assert time.monotonic() < deadline, server.output


def test_what_cannot_be_found(store: str) -> None:
    expected = {
        "models:/wine@nobody": "nobody",
        "models:/wine/9": "9",
        "models:/beer/latest": "no registered model 'beer'",
        "models:/wine/Production": "stage 'Production' of 'wine'",
        "runs:/0123456789abcdef0123456789abcdef/model": "0123456789abcdef",
    }
    for uri, told in expected.items():
        scan = asyncio.run(MLflowRepository(uri).scan())
        assert not scan.models
        (problem,) = scan.problems
        assert uri in problem
        assert told in problem
        assert store in problem or "no registered" in told or "stage" in told


def test_a_server_that_finds_nothing_says_so(store: str) -> None:
    command = ServerProcess(Path("models:/wine@nobody")).command
    environment = {**os.environ, **environ(store)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "MLflow cannot get models:/wine@nobody: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_is_a_model(serve: Serve, mlflow_models: Path) -> None:
    server = serve(mlflow_models / "sk_df")
    assert httpx.get(server.url("/v2/models")).json()[0]["name"] == "sk_df"
    assert predictions(server) == [1]


def test_what_is_a_uri() -> None:
    assert all(map(is_mlflow_uri, ("models:/m/1", "models:/m@a", "runs:/1/model", "mlflow-artifacts:/1/model")))
    assert not any(map(is_mlflow_uri, ("models", "models/m", "/models:/x", "./runs", "models:")))
