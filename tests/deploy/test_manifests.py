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

import kubernetes_validate
import pytest
import yaml

from oipserver.build import dockerfile, needs_of
from oipserver.build.dockerfile import Options
from oipserver.settings import Settings
from tests.support.server_process import ServerProcess

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*.yaml") if path.name != "kustomization.yaml")
NAME = {"app.kubernetes.io/name": "oipserver"}
FOREIGN = ("monitoring.coreos.com/",)  # no registry has the schemas of Prometheus' operator
KUBERNETES = "1.36"


@cache
def document(kind: str) -> Any:
    found = [content for path in FILES if (content := yaml.safe_load(path.read_text()))["kind"] == kind]
    assert len(found) == 1, kind
    return found[0]


def container() -> Any:
    (only,) = document("Deployment")["spec"]["template"]["spec"]["containers"]
    return only


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_kubernetes_knows_every_field(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    assert content["metadata"]["labels"] == NAME
    if not content["apiVersion"].startswith(FOREIGN):
        kubernetes_validate.validate(content, KUBERNETES, strict=True)
        content["spec"]["speck"] = 1
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(content, KUBERNETES, strict=True)


def test_every_file_is_part_of_a_kustomization() -> None:
    for folder in {path.parent for path in FILES}:
        listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
        assert sorted(listed) == sorted(path.name for path in FILES if path.parent == folder)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_puts_everything_together() -> None:
    command = ["kubectl", "kustomize", str(DEPLOY / "production")]
    made = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    documents = {each["kind"]: each for each in yaml.safe_load_all(made)}
    assert len(documents) == len(FILES)
    deployment = documents["Deployment"]["spec"]
    assert "replicas" not in deployment  # the autoscaler's business
    assert deployment["template"]["spec"]["containers"][0]["image"] == "example.org/oipserver:0.1.0"


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


@pytest.mark.process
def test_the_server_it_starts(serve: Callable[..., ServerProcess]) -> None:
    """Exactly the arguments and variables of the pod; the folder and the ports alone differ."""
    program, verb, _, *options = container()["args"]
    assert (program, verb) == ("oipserver", "start")
    environ = {each["name"]: each["value"] for each in container()["env"]}
    server = serve(ROOT / "examples" / "digits", *options, environ=environ)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server.get(container()[probe]["httpGet"]["path"]).status_code == 200
    page = server.get("/metrics").text
    metrics = document("HorizontalPodAutoscaler")["spec"]["metrics"]
    (scaled,) = [each["pods"]["metric"]["name"] for each in metrics if each["type"] == "Pods"]
    assert re.search(rf"^{scaled}{{.*}} 0.0$", page, re.MULTILINE)
    assert server.stop() == 0
    logged = [line for line in server.output.splitlines() if line.startswith("{")]
    assert logged
    assert all(json.loads(line) for line in logged)
