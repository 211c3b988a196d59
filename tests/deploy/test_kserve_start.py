"""Servers started as KServe's pods start them, by the arguments and variables of the objects alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpcclient

from oipserver.build import inference_service, needs_of, serving_runtime
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

EXAMPLES = Path(__file__).parents[2] / "examples"
Serve = Callable[..., ServerProcess]

#: What KServe 0.21's own runtime for MLServer sets; its image's command starts a server over /mnt/models.
MLSERVER_RUNTIME = {
    "MLSERVER_MODEL_IMPLEMENTATION": "{{.Labels.modelClass}}",
    "MLSERVER_HTTP_PORT": "8080",
    "MLSERVER_GRPC_PORT": "9000",
    "MODELS_DIR": "/mnt/models",
}


def start(serve: Serve, folder: Path, container: dict[str, Any], variables: dict[str, str]) -> ServerProcess:
    """A server as ``container`` says, but at another folder than /mnt/models and on ports that are free."""
    program, verb, models, *options = container["args"]
    assert (program, verb, models) == ("oipserver", "start", "/mnt/models")
    assert {"--http-port=8080", "--grpc-port=9000"} <= set(options)
    options = [each for each in options if "-port=" not in each]
    environ = {key: value.replace("/mnt/models", str(folder)) for key, value in variables.items()}
    return serve(folder, *options, environ=environ)


def variables_of_kserve(
    container: dict[str, Any], name: str, model_format: str, model_class: str = ""
) -> dict[str, str]:
    """What KServe's controller makes of a container's variables, and adds for its server type ``mlserver``."""
    given = {each["name"]: each["value"] for each in container.get("env", [])}
    words = {"{{.Name}}": name, "{{.Annotations.modelFormat}}": model_format, "{{.Labels.modelClass}}": model_class}
    filled = {key: words.get(value, value) for key, value in given.items()}
    return filled | {"MLSERVER_MODEL_NAME": name, "MLSERVER_MODEL_URI": "/mnt/models"}


def runtime_container() -> dict[str, Any]:
    (container,) = serving_runtime("oipserver:1")["spec"]["containers"]  # type: ignore[index, call-overload]
    return container  # type: ignore[return-value]


def test_a_bare_model_has_the_services_name(tmp_path: Path, serve: Serve) -> None:
    shutil.copy(EXAMPLES / "onnx-add" / "model.onnx", tmp_path)
    container = runtime_container()
    server = start(serve, tmp_path, container, variables_of_kserve(container, "adder", "onnx"))
    request = json.loads((EXAMPLES / "onnx-add" / "request.json").read_text())
    expected = json.loads((EXAMPLES / "onnx-add" / "expected.json").read_text())
    assert server.infer("adder", request).json()["outputs"] == expected["outputs"]
    tensors = []
    for given in request["inputs"]:
        tensor = grpcclient.InferInput(given["name"], given["shape"], given["datatype"])
        tensors.append(tensor.set_data_from_numpy(np.array(given["data"], np.float32).reshape(given["shape"])))
    with grpcclient.InferenceServerClient(server.grpc) as client:
        answer = client.infer("adder", tensors)
    assert answer.as_numpy("sum").ravel().tolist() == expected["outputs"][0]["data"]
    for probe in ("readinessProbe", "livenessProbe"):
        assert server.get(container[probe]["httpGet"]["path"]).status_code == 200
    assert "oipserver_model_ready" in server.get("/metrics").text  # on the port that the annotation names
    assert server.stop() == 0


def test_sklearn_needs_no_settings_file(tmp_path: Path, serve: Serve) -> None:
    shutil.copy(EXAMPLES / "sklearn" / "model.joblib", tmp_path)
    container = runtime_container()
    server = start(serve, tmp_path, container, variables_of_kserve(container, "iris", "sklearn"))
    request = json.loads((EXAMPLES / "sklearn" / "request.json").read_text())
    (output,) = server.infer("iris", request).json()["outputs"]
    assert (output["shape"], output["data"]) == ([3, 1], [0, 1, 2])


def test_mlflow_models_too(serve: Serve) -> None:
    folder = EXAMPLES / "mlflow-model"
    container = runtime_container()
    server = start(serve, folder / "flowers", container, variables_of_kserve(container, "wine", "mlflow"))
    assert server.infer("wine", json.loads((folder / "request.json").read_text())).status_code == 200


@pytest.mark.parametrize("example", ["digits", "ensemble"])
def test_folders_that_describe_their_models_keep_their_names(tmp_path: Path, serve: Serve, example: str) -> None:
    shutil.copytree(EXAMPLES / example, tmp_path / "models")
    service = inference_service(needs_of(tmp_path / "models"), "x", image="", storage_uri="s3://x")
    model_format = service["spec"]["predictor"]["model"]["modelFormat"]["name"]  # type: ignore[index, call-overload]
    container = runtime_container()
    variables = variables_of_kserve(container, "x", model_format)  # type: ignore[arg-type]
    server = start(serve, tmp_path / "models", container, variables)
    name = "flower" if example == "ensemble" else example
    request = json.loads((EXAMPLES / example / "request.json").read_text())
    assert server.infer(name, request).status_code == 200


def test_an_image_with_its_models(serve: Serve) -> None:
    service = inference_service(needs_of(EXAMPLES / "digits"), "digits", image="shop:1")
    (container,) = service["spec"]["predictor"]["containers"]  # type: ignore[index, call-overload]
    server = start(serve, EXAMPLES / "digits", container, {})  # type: ignore[arg-type]
    request = json.loads((EXAMPLES / "digits" / "request.json").read_text())
    assert server.infer("digits", request).status_code == 200


def test_kserves_own_runtime_for_mlserver_with_our_image(tmp_path: Path, serve: Serve) -> None:
    shutil.copy(EXAMPLES / "sklearn" / "model.joblib", tmp_path)
    block = {"env": [{"name": key, "value": value} for key, value in MLSERVER_RUNTIME.items()]}
    variables = variables_of_kserve(block, "iris", "sklearn", "mlserver_sklearn.SKLearnModel")
    variables |= {"MLSERVER_HTTP_PORT": "0", "MLSERVER_GRPC_PORT": "0"}
    environ = {key: value.replace("/mnt/models", str(tmp_path)) for key, value in variables.items()}
    server = serve(tmp_path, environ=environ, ports=("--metrics-port", "0"))
    request = json.loads((EXAMPLES / "sklearn" / "request.json").read_text())
    assert server.infer("iris", request).status_code == 200
    assert "sets nothing" not in server.output
