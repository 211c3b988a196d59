"""MLflow's quick start with a plugin of this protocol, command by command, with a real registry: a server on SQLite."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mlflow", reason="the tutorial is about MLflow")
import onnx
import tritonclient.http as http_client

from tests.conftest import EXAMPLES, ROOT
from tests.support.server_process import ServerProcess
from tests.support.tracking_server import TrackingServer

pytestmark = [pytest.mark.process, pytest.mark.slow]

FOLDER = EXAMPLES / "mlflow-deployments"
NAME = "onnx_float32_int32_int32"
EXPECTED = json.loads((FOLDER / "expected_output.json").read_text())
Run = Callable[..., str]


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    with TrackingServer(tmp_path_factory.mktemp("tracking")) as server:
        yield server


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def server(repository: Path) -> Iterator[ServerProcess]:
    with ServerProcess(repository, "--model-control-mode", "explicit") as started:
        yield started


@pytest.fixture
def run(tracking: TrackingServer, server: ServerProcess) -> Run:
    """Runs a command line in the project's folder, and gives what it prints."""
    environ = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": tracking.url,
        "OIP_URL": f"http://{server.http}",
    }

    def command(line: str, **variables: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line], cwd=ROOT, env={**environ, **variables},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return command


def test_the_example_as_its_readme_has_it(run: Run, tmp_path: Path, server: ServerProcess) -> None:
    found = re.search(r"```sh\n(export .*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    assert found
    lines = [line for line in found[1].splitlines() if not line.startswith("export")]
    printed = run(
        "\n".join(lines).replace("output.json", f"{tmp_path}/output.json").replace(f"expected_{tmp_path}", "expected_")
    )
    assert f"triton deployment {NAME} is created" in printed
    assert f"'name': '{NAME}', 'state': 'READY'" in printed
    assert f"Deployment {NAME} is deleted" in printed
    assert json.loads((tmp_path / "output.json").read_text()) == EXPECTED
    assert server.get(f"/v2/models/{NAME}/ready").status_code != 200


def test_the_other_flavor_update_and_get(run: Run, tmp_path: Path, tracking: TrackingServer) -> None:
    import mlflow

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking.url)
        mlflow.set_tracking_uri(tracking.url)
        model = onnx.load(FOLDER / NAME / "1" / "model.onnx")
        for _ in range(2):
            mlflow.onnx.log_model(model, name="triton", registered_model_name="by-onnx", pip_requirements=["mlflow"])
        mlflow.set_tracking_uri(None)
    body = {
        "inputs": [
            {"name": name, "datatype": "FP32", "shape": [1, 16], "data": [1.0] * 16} for name in ("INPUT0", "INPUT1")
        ]
    }
    (tmp_path / "v2.json").write_text(json.dumps(body))
    assert "onnx deployment by-onnx is created" in run(
        "mlflow deployments create -t oip --name by-onnx -m models:/by-onnx/1"
    )
    assert "(with flavor onnx)" in run(
        "mlflow deployments update -t oip --flavor onnx --name by-onnx -m models:/by-onnx/2"
    )
    told = run("mlflow deployments get -t oip --name by-onnx")
    assert "state: READY\n" in told
    assert "resolved_uri: models:/by-onnx/2\n" in told
    answer = run(f"mlflow deployments predict -t oip --name by-onnx --input-path {tmp_path}/v2.json")
    assert json.loads(answer)["outputs"]["OUTPUT0"] == [[2] * 16]


def test_the_detector(run: Run, server: ServerProcess) -> None:
    run(
        "oipserver mlflow publish --model_name yolov6n --model_directory examples/detector "
        "--flavor triton --alias champion"
    )
    run("mlflow deployments create -t oip --flavor triton --name yolov6n -m models:/yolov6n@champion")
    client = http_client.InferenceServerClient(server.http)
    try:
        metadata = client.get_model_metadata("yolov6n")
        item = http_client.InferInput("images", [1, 3, 640, 640], "FP32")
        item.set_data_from_numpy(np.zeros((1, 3, 640, 640), np.float32))
        response = client.infer("yolov6n", [item]).get_response()
    finally:
        client.close()
    assert (metadata["name"], metadata["versions"], metadata["platform"]) == ("yolov6n", ["1"], "onnxruntime_onnx")
    assert metadata["inputs"] == [{"name": "images", "datatype": "FP32", "shape": [1, 3, 640, 640]}]
    assert response["outputs"][0]["parameters"] == {"binary_data_size": 2856000}


def test_nvidias_plugin_as_it_is(run: Run, server: ServerProcess, repository: Path, tmp_path: Path) -> None:
    """Runs where their plugin is installed: it is no package of an index, and not ours to bring along."""
    pytest.importorskip(
        "mlflow_triton", reason="pip install --no-deps of deploy/mlflow-triton-plugin of Triton's server"
    )
    theirs = {"TRITON_URL": server.http, "TRITON_MODEL_REPO": str(repository)}
    for flavor in ("triton", "onnx"):
        run(f"oipserver mlflow publish --model-name nv-{flavor} --model-directory {FOLDER}/{NAME} --flavor {flavor}")
    run(f"mlflow deployments create -t triton --flavor triton --name {NAME} -m models:/nv-triton/1", **theirs)
    assert "'state': 'READY'" in run("mlflow deployments list -t triton", **theirs)
    assert "mlflow_model_uri: models:/nv-triton/1" in run(f"mlflow deployments get -t triton --name {NAME}", **theirs)
    output = tmp_path / "output.json"
    ask = f"mlflow deployments predict -t triton --name {NAME} --input-path {FOLDER}/input.json --output-path {output}"
    run(ask, **theirs)
    assert json.loads(output.read_text()) == EXPECTED
    run(f"mlflow deployments update -t triton --flavor onnx --name {NAME} -m models:/nv-onnx/1", **theirs)
    run(ask, **theirs)
    assert json.loads(output.read_text()) == EXPECTED
    ours = {"OIP_MODEL_REPO": str(repository)}
    assert "flavor: onnx" in run(f"mlflow deployments get -t oip --name {NAME}", **ours)
    run(f"mlflow deployments delete -t triton --name {NAME}", **theirs)
    assert server.get(f"/v2/models/{NAME}/ready").status_code != 200
    assert (repository / NAME / "1" / "model.onnx").exists(), "their plugin leaves this"
    run(f"mlflow deployments delete -t oip --name {NAME}", **ours)
