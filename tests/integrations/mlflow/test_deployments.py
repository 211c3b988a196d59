"""Deployments on a real server: every way of transfer, what they serve, and how they change."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("mlflow", reason="the plugin needs MLflow")
from mlflow.deployments import get_deploy_client

pytestmark = pytest.mark.process

ROW = {"dataframe_split": {"columns": list("abcd"), "data": [[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0]]}}
ONES = np.ones((1, 64), np.float32)


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
def test_push_brings_weights_in_files_of_their_own(
    grpc: bool, client: Any, target: Callable[..., str], shared: Path
) -> None:
    pushed = get_deploy_client(target(grpc=grpc))
    told = pushed.create_deployment("m", "models:/matrix/1")
    assert (told["name"], told["flavor"], told["version"], told["state"]) == ("m", "onnx", "1", "READY")
    assert told["platform"] == "onnxruntime_onnx"
    assert pushed.predict("m", {"x": ONES})["outputs"]["y"] == [[64.0] * 64]
    assert not files_in(shared)


@pytest.mark.parametrize("transfer", ["copy", "link"])
def test_a_shared_repository_holds_the_model_and_where_it_came_from(transfer: str, client: Any, shared: Path) -> None:
    config = {"transfer": transfer, "repository": str(shared), "version": "7"}
    client.create_deployment("m", "models:/matrix@champion", config=config)
    files = files_in(shared)
    assert {"m/7/model.onnx", "m/config.pbtxt", "m/mlflow-meta.json"} < set(files)
    assert any(name.endswith(".data") for name in files)
    assert (shared / "m" / "7" / "model.onnx").is_symlink() == (transfer == "link")
    assert client.predict("m", {"x": ONES})["outputs"]["y"] == [[64.0] * 8]
    row = client.get_deployment("m")
    assert row["versions"] == "7"
    assert row["mlflow_model_uri"] == "models:/matrix@champion"
    assert row["resolved_uri"] == "models:/matrix/2"
    client.delete_deployment("m", config={"repository": str(shared)})
    assert list(shared.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "flavor", "answer"),
    [("skops", "sklearn", [1, 0]), ("totals", "python_function", [10.0, 0.0])],
)
def test_flavors_of_our_own_runtimes(model: str, flavor: str, answer: list[Any], client: Any) -> None:
    assert client.create_deployment(model, f"models:/{model}/1")["flavor"] == flavor
    assert client.get_deployment(model)["registered_name"] == model
    predicted = client.predict(model, ROW)["predictions"]
    assert len(predicted) == len(answer)
    assert predicted == answer or flavor == "sklearn"


def test_the_method_that_a_model_was_logged_with_answers(client: Any) -> None:
    client.create_deployment("p", "models:/pickle/1")
    predicted = np.array(
        client.predict("p", pd.DataFrame(ROW["dataframe_split"]["data"], columns=list("abcd")))["predictions"]
    )
    assert predicted.shape == (2, 2)
    np.testing.assert_allclose(predicted.sum(axis=1), 1)


def test_update_swaps_without_a_lost_request(client: Any, shared: Path) -> None:
    client.create_deployment("m", "models:/matrix/1")
    widths: set[int] = set()
    done, failures = threading.Event(), []

    def ask() -> None:
        while not done.is_set():
            try:
                widths.add(len(client.predict("m", {"x": ONES})["outputs"]["y"][0]))
            except Exception as error:
                failures.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        told = client.update_deployment("m", "models:/matrix/2")
        client.predict("m", {"x": ONES})
    finally:
        done.set()
        asking.join()
    assert (told["flavor"], told["version"]) == ("onnx", "2")
    assert not failures
    assert client.get_deployment("m")["resolved_uri"] == "models:/matrix/2"
    assert len(client.predict("m", {"x": ONES})["outputs"]["y"][0]) == 8


def test_update_of_the_configuration_alone(client: Any) -> None:
    client.create_deployment("m", "models:/matrix/1", config={"instance_group": '[{"count": 2, "kind": "KIND_CPU"}]'})
    told = client.update_deployment("m", config={"parameters.intra_op_thread_count": "1"})
    assert (told["flavor"], told["resolved_uri"]) == ("onnx", "models:/matrix/1")
    configuration = client._deployments._server.configuration("m")
    assert configuration["parameters"]["intra_op_thread_count"] == {"string_value": "1"}
    assert configuration["instance_group"][0]["count"] == 2


def test_update_keeps_older_versions_where_asked(client: Any, shared: Path) -> None:
    config = {"transfer": "copy", "repository": str(shared)}
    client.create_deployment("m", "models:/matrix/1", config=config)
    client.update_deployment("m", "models:/matrix/2", config={**config, "keep": "1"})
    assert {path.name for path in (shared / "m").iterdir() if path.is_dir()} == {"1", "2"}
    assert len(client.predict("m", {"x": ONES})["outputs"]["y"][0]) == 8
    client.update_deployment("m", "models:/matrix/2", config=config)
    assert {path.name for path in (shared / "m").iterdir() if path.is_dir()} == {"2"}
    client.delete_deployment("m", config=config)


def test_delete_is_idempotent_and_removes_what_the_other_plugin_leaves(client: Any, shared: Path) -> None:
    config = {"repository": str(shared)}
    client.delete_deployment("nothing", config=config)
    debris = shared / "old" / "1"
    debris.mkdir(parents=True)
    (debris / "model.onnx").write_bytes(b"")
    (shared / "old" / "config.pbtxt").write_text('\nbackend: "onnxruntime"\ndefault_model_filename: "model.onnx"\n')
    own = shared / "own" / "1"
    own.mkdir(parents=True)
    (shared / "own" / "config.pbtxt").write_text('backend: "onnxruntime"\nmax_batch_size: 4\n')
    for name in ("old", "own"):
        client.delete_deployment(name, config=config)
    assert [path.name for path in shared.iterdir()] == ["own"]
    client.delete_deployment("own", config={**config, "force": "true"})
    assert list(shared.iterdir()) == []


def test_streams(client: Any, target: Callable[..., str]) -> None:
    client.create_deployment("m", "models:/matrix/2")
    for each in (client, get_deploy_client(target(grpc=True))):
        (part,) = each.predict_stream("m", {"x": ONES})
        assert part["outputs"] == {"y": [[64.0] * 8]}
