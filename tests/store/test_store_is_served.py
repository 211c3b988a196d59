"""A store is a model repository: a server serves it as it is, over both wires, and sees what comes and goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

import oipserver
from oipserver.cli import main
from oipserver.store import ModelStore
from tests.store.mlmodels import save_onnx, save_sklearn
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

ROW = np.array([[1.0, 2.0]])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of a store with two versions of ``sum``, and ``add``."""
    store = ModelStore(tmp_path / "home" / "models")
    oipserver.mlflow.import_model("sum", save_sklearn(tmp_path / "one", 1.0), store=store)
    oipserver.mlflow.import_model("sum", save_sklearn(tmp_path / "ten", 10.0), enforce_inputs=True, store=store)
    oipserver.mlflow.import_model("add:v1", save_onnx(tmp_path / "onnx"), store=store)
    return tmp_path / "home"


def ask_http(server: ServerProcess, version: str = "", value: np.ndarray = ROW, datatype: str = "FP64") -> float:
    client = triton_http.InferenceServerClient(server.http)
    given = triton_http.InferInput("input-0", list(value.shape), datatype)
    given.set_data_from_numpy(value)
    return float(client.infer("sum", [given], version).as_numpy("output-0").item())


def ask_grpc(server: ServerProcess, version: str = "") -> float:
    client = triton_grpc.InferenceServerClient(server.grpc)
    given = triton_grpc.InferInput("input-0", [1, 2], "FP64")
    given.set_data_from_numpy(ROW)
    return float(client.infer("sum", [given], version).as_numpy("output-0").item())


@pytest.mark.parametrize("how", ["folder", "option"])
def test_a_server_serves_all_versions(serve: Callable[..., ServerProcess], home: Path, how: str) -> None:
    store = ModelStore(home / "models")
    newest, older = (model.version for model in store.models("sum"))
    if how == "folder":
        server = serve(store.root)
    else:
        server = serve(Path("--store"), environ={"OIPSERVER_HOME": str(home)})
    rows = server.get("/v2/models/sum").json()
    assert rows["versions"] == [older, newest]
    for ask in (ask_http, ask_grpc):
        assert ask(server) == pytest.approx(30.0), "no version means the newest"
        assert ask(server, newest) == pytest.approx(30.0)
        assert ask(server, older) == pytest.approx(3.0)
    assert server.get("/v2/models/add/versions/v1/ready").status_code == 200
    assert "sets nothing" not in server.output


def test_enforced_inputs_are_a_mistake_of_the_client(serve: Callable[..., ServerProcess], home: Path) -> None:
    server = serve(home / "models")
    wrong_shape = {"name": "input-0", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}
    wrong_type = {"name": "input-0", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    for given, message in [
        (wrong_shape, "unexpected shape for input 'input-0' for model 'sum'. Expected [-1,2], got [1,3]"),
        (wrong_type, "inference input 'input-0' data-type is 'FP32', but model 'sum' expects 'FP64'"),
    ]:
        answer = server.infer("sum", {"inputs": [given]})
        assert (answer.status_code, answer.json()["error"]) == (400, message)


def test_one_version_alone(serve: Callable[..., ServerProcess], home: Path) -> None:
    model = ModelStore(home / "models").models("sum")[1]
    server = serve(model.path)
    assert server.get("/v2/models/sum").json()["versions"] == [model.version]
    assert ask_http(server) == pytest.approx(3.0)


def test_what_is_imported_and_deleted_is_loaded_and_gone(
    serve: Callable[..., ServerProcess], home: Path, tmp_path: Path
) -> None:
    store = ModelStore(home / "models")
    server = serve(store.root)
    oipserver.mlflow.import_model("sum", save_sklearn(tmp_path / "hundred", 100.0), store=store)
    assert httpx.post(server.url("/v2/repository/models/sum/load"), timeout=60).status_code == 200
    assert ask_http(server) == pytest.approx(300.0)
    store.delete("sum:latest")
    assert httpx.post(server.url("/v2/repository/models/sum/load"), timeout=60).status_code == 200
    assert ask_http(server) == pytest.approx(30.0)


def test_two_folders_to_serve_are_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "models", "--store"]) == 2
    assert "--store and models name two folders" in capsys.readouterr().err
