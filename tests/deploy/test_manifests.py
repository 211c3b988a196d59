"""What deploy/ holds: valid for Kubernetes, restricted, and true of the server it runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pydantic
import pytest
import yaml

from oipserver.build import dockerfile, needs_of
from oipserver.build.dockerfile import Options
from oipserver.settings import Settings
from tests.deploy import operator_schema
from tests.deploy.kustomize import render
from tests.docs.blocks import blocks
from tests.support.server_process import ServerProcess

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*.yaml") if path.name != "kustomization.yaml")
NAME = {"app.kubernetes.io/name": "oipserver"}
KUBERNETES = "1.36"


@cache
def document(kind: str) -> Any:
    found = [content for path in FILES if (content := yaml.safe_load(path.read_text()))["kind"] == kind]
    assert len(found) == 1, kind
    return found[0]


def container() -> Any:
    (only,) = document("Deployment")["spec"]["template"]["spec"]["containers"]
    return only


def check(content: dict[str, Any]) -> None:
    """Raises the ValidationError of whoever knows this kind of object: a field there is not, or a wrong value."""
    if content["apiVersion"].startswith("monitoring.coreos.com/"):
        operator_schema.check(content)
    else:
        kubernetes_validate.validate(content, KUBERNETES, strict=True)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_field_is_known(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    assert content["metadata"]["labels"] == NAME
    check(content)
    content["spec"]["speck"] = 1
    with pytest.raises((kubernetes_validate.ValidationError, pydantic.ValidationError), match="speck"):
        check(content)


def test_every_file_is_part_of_a_kustomization() -> None:
    for folder in {path.parent for path in FILES}:
        listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
        assert sorted(listed) == sorted(path.name for path in FILES if path.parent == folder)


def shown(word: str) -> str:
    """The block of the page about deployment that has this word."""
    (found,) = [each.text for each in blocks((ROOT / "docs" / "deployment.md").read_text()) if word in each.text]
    return found


def overlay(folder: Path) -> Path:
    """The kustomization that the page has, in a folder beside deploy/."""
    (folder / "shop").mkdir()
    (folder / "shop" / "kustomization.yaml").write_text(shown("kind: Kustomization"))
    (folder / "deploy").symlink_to(DEPLOY)
    return folder / "shop"


def test_production_is_everything() -> None:
    documents = {each["kind"]: each for each in render(DEPLOY / "production")}
    assert len(documents) == len(FILES)
    for each in documents.values():
        check(each)
    deployment = documents["Deployment"]["spec"]
    assert "replicas" not in deployment  # the autoscaler's business
    assert deployment["template"]["spec"]["containers"][0]["image"] == "example.org/oipserver:0.1.0"


def test_models_on_a_volume(tmp_path: Path) -> None:
    documents = render(overlay(tmp_path))
    assert len(documents) == len(FILES)
    for each in documents:
        check(each)
    (deployment,) = [each for each in documents if each["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    mounts = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
    assert mounts == {"tmp": "/tmp", "models": container()["args"][2]}
    assert {each["name"] for each in pod["volumes"]} == set(mounts)
    changed = set(pod["containers"][0]["args"]) ^ set(container()["args"])
    assert changed == {"--model-control-mode=none", "--model-control-mode=poll"}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("which", ["production", "shop"])
def test_kustomize_itself_makes_the_same(which: str, tmp_path: Path) -> None:
    folder = DEPLOY / "production" if which == "production" else overlay(tmp_path)
    command = ["kubectl", "kustomize", str(folder)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    made = {each["kind"]: each for each in yaml.safe_load_all(printed)}
    assert made == {each["kind"]: each for each in render(folder)}


def test_pods_are_restricted_as_the_standard_for_pods_wants() -> None:
    pod, own = document("Deployment")["spec"]["template"]["spec"], container()["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (own["allowPrivilegeEscalation"], own["readOnlyRootFilesystem"]) == (False, True)
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert [each["mountPath"] for each in container()["volumeMounts"]] == ["/tmp"]


def test_selectors_select() -> None:
    template = document("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert template == NAME
    assert document("Service")["spec"]["selector"] == NAME
    for kind in ("Deployment", "PodDisruptionBudget", "ServiceMonitor"):
        assert document(kind)["spec"]["selector"] == {"matchLabels": NAME}
    assert document("NetworkPolicy")["spec"]["podSelector"] == {"matchLabels": NAME}
    target = document("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", document("Deployment")["metadata"]["name"])


def test_ports_are_those_of_the_image() -> None:
    ports = {each["name"]: each["containerPort"] for each in container()["ports"]}
    assert ports == {"http": 8080, "grpc": 8081, "metrics": 8082}
    exposed = re.search(r"^EXPOSE (.*)$", dockerfile(needs_of(ROOT), Options()), re.MULTILINE)
    assert exposed
    assert exposed[1].split() == [str(port) for port in ports.values()]
    assert {each["targetPort"]: each["port"] for each in document("Service")["spec"]["ports"]} == ports
    (endpoint,) = document("ServiceMonitor")["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("metrics", Settings().metrics_endpoint)
    (ingress,) = document("NetworkPolicy")["spec"]["ingress"]
    assert [each["port"] for each in ingress["ports"]] == list(ports)


def test_a_pod_gets_the_time_it_needs_to_stop() -> None:
    pod = document("Deployment")["spec"]["template"]["spec"]
    before = int(container()["lifecycle"]["preStop"]["exec"]["command"][1])
    (grace,) = [int(word.partition("=")[2]) for word in container()["args"] if word.startswith("--shutdown-timeout=")]
    assert pod["terminationGracePeriodSeconds"] >= before + grace + 5


def test_a_pod_gets_the_time_it_needs_to_start() -> None:
    probe = container()["startupProbe"]
    assert (
        document("Deployment")["spec"]["progressDeadlineSeconds"] > probe["periodSeconds"] * probe["failureThreshold"]
    )


def test_the_adapters_rule_is_about_the_autoscalers_metric() -> None:
    (rule,) = yaml.safe_load(shown("seriesQuery"))["rules"]
    assert rule["seriesQuery"].startswith(f"{scaled_by()}{{")


def scaled_by() -> str:
    metrics = document("HorizontalPodAutoscaler")["spec"]["metrics"]
    (name,) = [each["pods"]["metric"]["name"] for each in metrics if each["type"] == "Pods"]
    return str(name)


@pytest.mark.process
@pytest.mark.parametrize("which", ["production", "shop"])
def test_the_server_it_starts(which: str, tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    """Exactly the arguments and variables of the pod; the folder and the ports alone differ."""
    documents = render(DEPLOY / "production" if which == "production" else overlay(tmp_path))
    (deployment,) = [each for each in documents if each["kind"] == "Deployment"]
    (run,) = deployment["spec"]["template"]["spec"]["containers"]
    program, verb, _, *options = run["args"]
    assert (program, verb) == ("oipserver", "start")
    environ = {each["name"]: each["value"] for each in run["env"]}
    server = serve(ROOT / "examples" / "digits", *options, environ=environ)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server.get(run[probe]["httpGet"]["path"]).status_code == 200
    page = server.get("/metrics").text
    assert re.search(rf"^{scaled_by()}{{.*}} 0.0$", page, re.MULTILINE)
    for path, refused in (("repository/models/digits/unload", 503), ("systemsharedmemory/region/x/register", 501)):
        assert httpx.post(server.url(f"/v2/{path}"), json={"key": "/x", "byte_size": 1}).status_code == refused
    assert server.stop() == 0
    logged = [line for line in server.output.splitlines() if line.startswith("{")]
    assert logged
    assert all(json.loads(line) for line in logged)
