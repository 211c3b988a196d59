"""An image that `oipserver build` really makes, run as clusters do: as any user, with nothing to write to, stopped."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpcclient

from oipserver.build import serving_runtime
from tests.build import containers
from tests.build.images import AS_CLUSTERS_DO, Container, Image, build, running

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(600)]

EXAMPLE = containers.ROOT / "examples" / "digits"
TAG = "localhost/oipserver-test-image"
SLOW = """
import time

from tool_of_slow import ANSWER

from oipserver import MLModel
from oipserver.types import InferenceResponse, ResponseOutput


class Slow(MLModel):
    async def predict(self, payload):
        time.sleep(1.0)
        return InferenceResponse(model_name=self.name, outputs=[
            ResponseOutput(name="y", shape=[1], datatype="INT64", data=[ANSWER])])
"""
PACKED = """
import sys

from oipserver import MLModel
from oipserver.types import InferenceResponse, ResponseOutput


class Packed(MLModel):
    async def predict(self, payload):
        return InferenceResponse(model_name=self.name, outputs=[
            ResponseOutput(name="y", shape=[1], datatype="BYTES", data=[sys.prefix])])
"""
PROJECT = """
[project]
name = "tool-of-slow"
version = "1"
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[tool.hatch.build.targets.wheel]
only-include = ["tool_of_slow.py"]
"""
REQUEST = {"inputs": [{"name": "x", "shape": [1], "datatype": "INT64", "data": [1]}]}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    scratch = tmp_path_factory.mktemp("image")
    try:
        environment = containers.prepare(scratch)
        base = containers.base_image(scratch, environment)
        # What builds packages is among the wheels: a tool of a model, and this server from its source.
        wheels = containers.wheelhouse(
            scratch / "wheels", base.python, "oipserver[onnx]", "hatchling>=1.27", "editables~=0.3"
        )
    except containers.MissingError as error:
        containers.give_up(error)
    folder = scratch / "shop"
    shutil.copytree(EXAMPLE, folder / "digits")
    write_slow(folder / "slow")
    write_packed(folder / "packed", base.python)
    made = build(folder, TAG, environment, ["--base-image", base.name, "--wheelhouse", str(wheels)])
    yield made
    made.podman("rmi", "--force", TAG, check=False)


def write_slow(folder: Path) -> None:
    """A model that takes a second, and needs a package that lies beside it."""
    folder.mkdir(mode=0o700)  # as private as a home folder: the image must open it
    (folder / "slow.py").write_text(SLOW)
    settings = {"name": "slow", "implementation": "slow.Slow", "parallel_workers": 4}
    (folder / "model-settings.json").write_text(json.dumps(settings))
    (folder / "environment.yml").write_text("dependencies: [pip: [-e ./tool]]\nvariables: {NUMEXPR_MAX_THREADS: 2}\n")
    (folder / "tool").mkdir()
    (folder / "tool" / "pyproject.toml").write_text(PROJECT)
    (folder / "tool" / "tool_of_slow.py").write_text("ANSWER = 7\n")


def write_packed(folder: Path, python: str) -> None:
    """A model with an environment of its own, which has what the image has."""
    folder.mkdir()
    (folder / "packed.py").write_text(PACKED)
    parameters = {"environment_tarball": "environment.tar.gz"}
    settings = {"name": "packed", "implementation": "packed.Packed", "parameters": parameters}
    (folder / "model-settings.json").write_text(json.dumps(settings))
    packages = f"lib/python{python}/site-packages"
    files = {"pyvenv.cfg": "home = /usr/bin\n", f"{packages}/image.pth": f"/opt/oipserver/{packages}\n"}
    with tarfile.open(folder / "environment.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
        member = tarfile.TarInfo("bin/python")
        member.type, member.linkname = tarfile.SYMTYPE, "/usr/bin/python3"
        archive.addfile(member)


@pytest.fixture
def container(image: Image) -> Iterator[Container]:
    with running(image) as made:
        yield made


def test_building_tells_what_it_does(image: Image) -> None:
    command, *_ = image.told.splitlines()
    assert command.startswith(f"podman build --tag {TAG} --file ")
    assert "--network none" in command
    *_, built, _, run = image.told.splitlines()
    assert built.startswith(f"built {TAG}, ")
    assert built.endswith(" MB")
    assert run.split() == (f"podman run --rm -p 8080:8080 -p 8081:8081 -p 8082:8082 --stop-timeout 35 {TAG}".split())


def test_the_image_says_what_it_is(image: Image) -> None:
    (told,) = json.loads(image.podman("image", "inspect", TAG))
    configuration = told["Config"]
    assert configuration["User"] == "1000:0"
    assert configuration["Cmd"] == ["oipserver", "start", "/mnt/models"]
    assert set(configuration["ExposedPorts"]) == {"8080/tcp", "8081/tcp", "8082/tcp"}
    assert configuration["Labels"]["org.opencontainers.image.title"] == "shop"
    assert "NUMEXPR_MAX_THREADS=2" in configuration["Env"]
    assert configuration["Labels"]["org.opencontainers.image.base.name"].startswith("localhost/oipserver-test-base")
    assert told["Healthcheck"]["Test"][0] == "CMD"


def test_it_answers_on_both_wires(container: Container) -> None:
    request = json.loads((EXAMPLE / "request.json").read_text())
    expected = json.loads((EXAMPLE / "expected.json").read_text())
    told = container.infer("digits", request).json()
    for output, wanted in zip(told["outputs"], expected["outputs"], strict=True):
        np.testing.assert_allclose(output["data"], wanted["data"], rtol=1e-4, atol=1e-5)
    (given,) = request["inputs"]
    tensor = grpcclient.InferInput(given["name"], given["shape"], given["datatype"])
    tensor.set_data_from_numpy(np.array(given["data"], np.float32).reshape(given["shape"]))
    with grpcclient.InferenceServerClient(container.grpc) as client:
        answer = client.infer("digits", [tensor])
    for wanted in expected["outputs"]:
        np.testing.assert_allclose(answer.as_numpy(wanted["name"]).ravel(), wanted["data"], rtol=1e-4, atol=1e-5)


def test_a_packed_environment_is_unpacked_where_that_can_be(container: Container) -> None:
    (output,) = container.infer("packed", REQUEST).json()["outputs"]
    assert output["data"][0].startswith("/tmp/.envs/")


def test_the_health_check_passes(container: Container) -> None:
    check = json.loads(container.image.podman("image", "inspect", TAG))[0]["Healthcheck"]["Test"]
    container.image.podman("exec", container.name, *check[1:])


def test_stopping_loses_nothing(container: Container) -> None:
    answers: list[int] = []
    callers = [
        threading.Thread(target=lambda: answers.append(container.infer("slow", REQUEST).status_code)) for _ in range(8)
    ]
    for caller in callers:
        caller.start()
    wait_in_flight(container, len(callers))
    begun = time.monotonic()
    container.image.podman("stop", "--time", "35", container.name)
    assert time.monotonic() - begun < 20
    for caller in callers:
        caller.join(30)
    assert answers == [200] * len(callers)
    assert container.exit_code() == "0"


def wait_in_flight(container: Container, count: int) -> None:
    wanted = re.compile(rf'^oipserver_requests_in_flight{{[^}}]*"slow"[^}}]*}} {count}\.0$', re.MULTILINE)
    deadline = time.monotonic() + 10
    while not wanted.search(told := httpx.get(f"http://{container.http}/metrics", timeout=5).text):
        assert time.monotonic() < deadline, told
        time.sleep(0.02)


CALL = """
import sys, urllib.request
body = sys.stdin.buffer.read() or None
print(urllib.request.urlopen('http://127.0.0.1:8080' + sys.argv[1], body, timeout=5).read().decode())
"""


def test_a_pod_of_kserve(image: Image, tmp_path: Path) -> None:
    """The runtime's own arguments and ports, in a network of its own; the model is mounted, its name a variable."""
    folder = tmp_path / "model"
    folder.mkdir(mode=0o755)
    shutil.copyfile(EXAMPLE / "model.onnx", folder / "model.onnx")
    (folder / "model.onnx").chmod(0o644)
    (container,) = serving_runtime(TAG)["spec"]["containers"]  # type: ignore[index, call-overload]
    variables = {"MODEL_IMPLEMENTATION": "onnx", "MODEL_NAME": "mine", "MODEL_URI": "/mnt/models"}
    name = "oipserver-test-kserve"
    image.podman(
        *("run", "--detach", "--name", name, "--network", "none", *AS_CLUSTERS_DO),
        *("--volume", f"{folder}:/mnt/models:ro"),
        *(word for key, value in variables.items() for word in ("--env", f"MLSERVER_{key}={value}")),
        *(TAG, *container["args"]),  # type: ignore[index, call-overload]
    )
    try:
        wait_until(image, name, container["readinessProbe"]["httpGet"]["path"])  # type: ignore[index, call-overload]
        command = ["podman", "exec", "--interactive", name, "python3", "-c", CALL, "/v2/models/mine/infer"]
        request = (EXAMPLE / "request.json").read_bytes()
        told = subprocess.run(command, env=image.environment, input=request, capture_output=True, check=True).stdout
        expected = json.loads((EXAMPLE / "expected.json").read_text())["outputs"]
        assert [each["name"] for each in json.loads(told)["outputs"]] == [each["name"] for each in expected]
        image.podman("stop", "--time", "30", name)
        assert image.podman("inspect", "--format", "{{.State.ExitCode}}", name) == "0"
    finally:
        image.podman("rm", "--force", "--time", "0", name, check=False)


def wait_until(image: Image, name: str, path: str) -> None:
    command = ["podman", "exec", name, "python3", "-c", CALL, path]
    deadline = time.monotonic() + 60
    while subprocess.run(command, env=image.environment, capture_output=True, check=False).returncode:
        assert time.monotonic() < deadline, image.podman("logs", name)
        time.sleep(0.2)


def test_the_repositorys_own_image(image: Image) -> None:
    """It has the server and no models: those of a folder that is mounted."""
    tag = f"{TAG}-source"
    build(containers.ROOT, tag, image.environment, image.options)
    try:
        words = ("run", "--rm", "--network", "none", "--health-interval", "disable", "--user", "1234567:0")
        volume = ("--volume", f"{containers.ROOT / 'examples' / 'digits'}:/mnt/models:ro")
        told = image.podman(*words, *volume, tag, "oipserver", "models", "/mnt/models", "--output", "json")
        assert [each["name"] for each in json.loads(told)] == ["digits"]
        assert image.podman(*words, tag, "python3", "-c", "import os; print(os.path.exists('/mnt/models'))") == "False"
    finally:
        image.podman("rmi", "--force", tag, check=False)
