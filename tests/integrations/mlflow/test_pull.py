"""A server that fetches models from MLflow by itself, because it was told that it may."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mlflow", reason="the plugin needs MLflow")
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException

from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

PULL = {"transfer": "pull"}


@pytest.fixture(scope="module")
def pulling(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    options = ("--model-control-mode", "explicit")
    environ = {"OIPSERVER_PULL_URI_SCHEMES": '["models"]'}
    with ServerProcess(tmp_path_factory.mktemp("empty"), *options, environ=environ) as started:
        yield started


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
def test_the_server_fetches_what_an_alias_means(grpc: bool, pulling: ServerProcess) -> None:
    client: Any = get_deploy_client(
        f"oip://{pulling.http}" + (f"?grpc={pulling.grpc.rpartition(':')[2]}" if grpc else "")
    )
    told = client.create_deployment("m", "models:/matrix/1", config=PULL)
    assert (told["version"], told["platform"]) == ("1", "onnxruntime_onnx")
    told = client.update_deployment("m", "models:/matrix@champion", config=PULL)
    assert told["version"] == "2"
    assert client.predict("m", {"x": np.ones((1, 64), np.float32)})["outputs"]["y"] == [[64.0] * 8]
    with pytest.raises(MlflowException, match="failed to load 'm'"):
        client.update_deployment("m", "models:/matrix/99", config=PULL)
    assert client.get_deployment("m")["versions"] == "2"
    client.delete_deployment("m")
    assert client.list_deployments() == []


@pytest.mark.parametrize(
    ("uri", "config", "words"),
    [
        ("runs:/x/m", {}, "no models from URIs of scheme 'runs': its pull_uri_schemes are models"),
        ("/etc", {}, "of scheme ''"),
        ("models:/broken/1", {}, "failed"),
        ("models:/matrix/1", {"max_batch_size": "3"}, "expected none of them"),
    ],
)
def test_what_is_not_fetched(uri: str, config: dict[str, str], words: str, pulling: ServerProcess) -> None:
    client: Any = get_deploy_client(f"oip://{pulling.http}")
    with pytest.raises(MlflowException, match=words):
        client.create_deployment("m", uri, config={**PULL, **config})
    assert client.list_deployments() == []


def test_files_and_uri_are_one_too_many(pulling: ServerProcess, serve: Callable[..., ServerProcess]) -> None:
    import httpx

    parameters = {"uri": "models:/matrix/1", "file:1/model.onnx": "AAAA"}
    answer = httpx.post(pulling.url("/v2/repository/models/m/load"), json={"parameters": parameters}, timeout=30)
    assert answer.status_code >= 400
    assert "expected one of them" in answer.json()["error"]
