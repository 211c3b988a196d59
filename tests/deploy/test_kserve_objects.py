"""The objects that `oipserver kserve` prints have the fields KServe and Kubernetes have, and the form of clusters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from oipserver.cli import main
from tests.deploy.kserve_schema import check

EXAMPLES = Path(__file__).parents[2] / "examples"
KUBERNETES = "1.36"


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert main(["kserve", *words]) == 0
    return list(yaml.safe_load_all(capsys.readouterr().out))


def check_all(document: dict[str, Any]) -> None:
    kind = {"ClusterServingRuntime": "V1alpha1", "InferenceService": "V1beta1"}[document["kind"]] + document["kind"]
    parts = list(check(kind, document, document["kind"]))
    pod: dict[str, Any] = {"containers": [], "volumes": []}
    for name, part in parts:
        if name == "V1Container":
            pod["containers"].append(part)
        elif name == "V1Volume":
            pod["volumes"].append(part)
        elif name == "V1ContainerPort":
            pod["containers"].append({"name": "model", "ports": [part]})
        else:
            assert name == "V1ObjectMeta", name
    if pod["containers"]:
        check_pod(pod)


def check_pod(spec: dict[str, Any]) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
    kubernetes_validate.validate(pod, KUBERNETES, strict=True)


@pytest.mark.parametrize(
    "options",
    [(), ("--grpc",), ("--gpu",), ("--storage-uri", "s3://shop/digits"), ("--storage-uri", "pvc://shop", "--grpc")],
    ids=" ".join,
)
def test_fields_are_those_of_kserve(capsys: pytest.CaptureFixture[str], options: tuple[str, ...]) -> None:
    documents = printed(capsys, str(EXAMPLES / "digits"), "--image", "example.org/shop:1", *options)
    assert [document["kind"] for document in documents] == ["ClusterServingRuntime", "InferenceService"]
    for document in documents:
        check_all(document)


def test_a_mistake_would_be_found(capsys: pytest.CaptureFixture[str]) -> None:
    (runtime,) = printed(capsys, str(EXAMPLES / "digits"), "--runtime")
    runtime["spec"]["supportedModelFormats"][0]["priorty"] = 1
    with pytest.raises(AssertionError, match="priorty"):
        check_all(runtime)
    (service,) = printed(capsys, str(EXAMPLES / "digits"), "--inference-service")
    service["spec"]["predictor"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        check_all(service)


def test_one_runtime_serves_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    (runtime,) = printed(capsys, str(EXAMPLES / "digits"), "--runtime")
    formats = runtime["spec"]["supportedModelFormats"]
    assert {each["name"] for each in formats} >= {"onnx", "sklearn", "xgboost", "lightgbm", "mlflow", "oipserver"}
    assert len({(each["name"], each["version"]) for each in formats}) == len(formats)
    priorities: dict[str, set[int]] = {}
    for each in formats:
        priorities.setdefault(each["name"], set()).add(each["priority"])
    assert all(len(each) == 1 for each in priorities.values())  # KServe refuses several for one format


def test_services_are_named_for_their_model_and_formatted_for_their_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "My_Net.onnx").touch()
    words = ("--inference-service", "--storage-uri", "s3://shop")
    (service,) = printed(capsys, str(tmp_path), *words)
    assert service["metadata"]["name"] == "my-net"
    assert service["spec"]["predictor"]["model"]["modelFormat"] == {"name": "onnx"}
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "model-settings.json").write_text(json.dumps({"implementation": "models.Own"}))
    (service,) = printed(capsys, str(tmp_path), *words, "--name", "shop")
    assert service["metadata"]["name"] == "shop"
    assert service["spec"]["predictor"]["model"]["modelFormat"] == {"name": "oipserver"}


def test_names_that_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kserve", str(EXAMPLES / "digits"), "--name", "My Shop"]) == 1
    assert "cannot name an InferenceService" in capsys.readouterr().err


def test_yaml_says_what_was_meant() -> None:
    from oipserver.build import yaml_documents

    odd: dict[str, Any] = {
        "text": ["on", "1", "{{.Name}}", "a: b", "- c", "#d", "", 'it\'s "so"', "Ünïcode", "null", "x y", "1e3"],
        "other": [1, True, None, 2.5, [], {}, ["a", ["b"]], {"deep": [{"k": "v", "l": [1]}, {"m": {}}]}],
        "no": {"8080": "x"},
    }
    assert list(yaml.safe_load_all(yaml_documents([odd, {"a": "b"}]))) == [odd, {"a": "b"}]
