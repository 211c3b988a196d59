"""Deployments that fail: the code and the words, and that nothing stays behind."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mlflow", reason="the plugin needs MLflow")
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException

from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

ONES = np.ones((1, 64), np.float32)


@pytest.mark.parametrize(
    ("uri", "flavor", "config", "code", "words"),
    [
        ("models:/nobody/1", None, {}, "RESOURCE_DOES_NOT_EXIST", "nobody"),
        ("models:/matrix/99", None, {}, "RESOURCE_DOES_NOT_EXIST", "99"),
        ("models:/matrix@nobody", None, {}, "INVALID_PARAMETER_VALUE", "alias nobody"),
        ("runs:/nothing/m", None, {}, "RESOURCE_DOES_NOT_EXIST", "nothing"),
        ("nowhere://x/y", None, {}, "INVALID_PARAMETER_VALUE", "nowhere://x/y"),
        ("", None, {}, "INVALID_PARAMETER_VALUE", "URI is missing"),
        ("models:/skops/1", "onnx", {}, "INVALID_PARAMETER_VALUE", "it has python_function, sklearn"),
        ("models:/skops/1", "tensorrt", {}, "INVALID_PARAMETER_VALUE", "known are triton, onnx"),
        ("models:/matrix/1", None, {"max_batch_sise": "3"}, "INVALID_PARAMETER_VALUE", "'max_batch_size'"),
        ("models:/matrix/1", None, {"timeout": "soon"}, "INVALID_PARAMETER_VALUE", "seconds above 0"),
        ("models:/matrix/1", None, {"transfer": "copy"}, "INVALID_PARAMETER_VALUE", "OIP_MODEL_REPO"),
        ("models:/matrix/1", None, {"transfer": "pull"}, "NOT_IMPLEMENTED", "it has no pull_uri_schemes"),
        ("models:/pickle/1", None, {"trust": "false"}, "INVALID_PARAMETER_VALUE", "-C trust=true"),
    ],
)
def test_what_cannot_be_right(
    uri: str, flavor: str | None, config: dict[str, str], code: str, words: str, client: Any
) -> None:
    with pytest.raises(MlflowException) as raised:
        client.create_deployment("bad", uri, flavor, config)
    assert raised.value.error_code == code
    assert words in raised.value.message
    assert client.list_deployments() == []


def test_a_name_that_is_there(client: Any) -> None:
    client.create_deployment("m", "models:/matrix/1")
    with pytest.raises(MlflowException, match="'m' exists already") as raised:
        client.create_deployment("m", "models:/matrix/2")
    assert raised.value.error_code == "RESOURCE_ALREADY_EXISTS"


@pytest.mark.parametrize("name", ["a/b", "..", "", ".oipserver", "a\0b"])
def test_a_name_that_cannot_be(name: str, client: Any) -> None:
    with pytest.raises(MlflowException, match="cannot be the name of a model"):
        client.create_deployment(name, "models:/matrix/1")


def test_a_name_that_is_not_there(client: Any) -> None:
    for call in (
        lambda: client.get_deployment("nobody"),
        lambda: client.update_deployment("nobody", "models:/matrix/1"),
        lambda: client.predict("nobody", {"x": ONES}),
    ):
        with pytest.raises(MlflowException) as raised:
            call()
        assert raised.value.error_code == "RESOURCE_DOES_NOT_EXIST"
        assert "nobody" in raised.value.message


@pytest.mark.parametrize("transfer", ["push", "copy"])
@pytest.mark.parametrize(("model", "words"), [("broken", "failed"), ("moody", "does not answer the example")])
def test_nothing_stays_of_a_model_that_fails(transfer: str, model: str, words: str, client: Any, shared: Path) -> None:
    config = {"transfer": transfer, "repository": str(shared)}
    with pytest.raises(MlflowException, match=words):
        client.create_deployment("bad", f"models:/{model}/1", config=config)
    assert client.list_deployments() == []
    assert list(shared.iterdir()) == []


@pytest.mark.parametrize("transfer", ["push", "copy"])
@pytest.mark.parametrize("model", ["broken", "moody"])
def test_the_old_one_serves_on_where_the_new_one_fails(transfer: str, model: str, client: Any, shared: Path) -> None:
    config = {"transfer": transfer, "repository": str(shared)}
    client.create_deployment("m", "models:/matrix/2", config=config)
    with pytest.raises(MlflowException):
        client.update_deployment("m", f"models:/{model}/1", config=config)
    assert client.predict("m", {"x": ONES})["outputs"]["y"] == [[64.0] * 8]
    assert client.get_deployment("m")["resolved_uri"] == "models:/matrix/2"
    client.delete_deployment("m", config=config)
    assert list(shared.iterdir()) == []


@pytest.mark.parametrize("transfer", ["push", "copy"])
def test_of_two_creates_at_once_one_succeeds(
    transfer: str, client: Any, shared: Path, target: Callable[..., str]
) -> None:
    config = {"transfer": transfer, "repository": str(shared)}
    start = threading.Barrier(2)

    def create(version: int) -> str:
        other = get_deploy_client(target())
        start.wait()
        try:
            return str(other.create_deployment("m", f"models:/matrix/{version}", config=config)["resolved_uri"])
        except MlflowException as error:
            return str(error.error_code)

    with ThreadPoolExecutor(2) as pool:
        results = sorted(pool.map(create, (1, 2)))
    assert results[0] == "RESOURCE_ALREADY_EXISTS"
    assert client.get_deployment("m")["resolved_uri"] == results[1]
    client.delete_deployment("m", config=config)


def test_an_interrupted_upload_leaves_nothing(server: ServerProcess, client: Any) -> None:
    host, _, port = server.http.rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /v2/repository/models/half/load HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b'content-length: 1000000\r\n\r\n{"parameters":{"config":"{}","file:1/model.onnx":"AAAA'
        )
    assert client.list_deployments() == []


def test_a_server_that_is_away(registry: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        away = get_deploy_client(f"oip://127.0.0.1:{taken.getsockname()[1]}")
        for call in (away.list_deployments, lambda: away.create_deployment("m", "models:/matrix/1")):
            with pytest.raises(MlflowException, match="cannot be reached") as raised:
                call()
            assert raised.value.error_code == "TEMPORARILY_UNAVAILABLE"


def test_a_server_whose_models_nobody_may_change(
    registry: Path, serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    fixed = serve(tmp_path, "--model-control-mode", "none")
    with pytest.raises(MlflowException, match="not allowed") as raised:
        get_deploy_client(f"oip://{fixed.http}").create_deployment("m", "models:/matrix/1")
    assert raised.value.error_code == "TEMPORARILY_UNAVAILABLE"
