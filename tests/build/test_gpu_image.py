"""An image for GPUs, on a base that has no Python as CUDA's images have none, which is also another release; no GPU."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.build import containers
from tests.build.images import Image, build, running

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(600)]

TAG = "localhost/oipserver-test-gpu-image"
REQUEST = {"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1.5, -2.0]}]}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    scratch = tmp_path_factory.mktemp("gpu-image")
    try:
        environment = containers.prepare(scratch)
        base = containers.bare_image(scratch, environment)
        wheels = containers.wheelhouse(scratch / "wheels", base.python, "oipserver")
    except containers.MissingError as error:
        containers.give_up(error)
    folder = scratch / "echo"
    folder.mkdir()
    (folder / "model-settings.json").write_text('{"name": "echo", "implementation": "identity"}')
    options = ["--gpu", "--base-image", base.name, "--wheelhouse", str(wheels)]
    made = build(folder, TAG, environment, options, network="host")  # Python comes from the distribution
    yield made
    made.podman("rmi", "--force", TAG, check=False)


def test_python_is_installed_where_the_base_has_none(image: Image) -> None:
    assert "apt-get install --yes --no-install-recommends python3 python3-venv" in image.told
    assert image.told.splitlines()[-1].split()[:5] == ["podman", "run", "--rm", "--device", "nvidia.com/gpu=all"]


def test_it_asks_for_gpus(image: Image) -> None:
    (told,) = json.loads(image.podman("image", "inspect", TAG))
    assert "NVIDIA_VISIBLE_DEVICES=all" in told["Config"]["Env"]
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in told["Config"]["Env"]


def test_it_serves_and_stops(image: Image) -> None:
    with running(image) as container:
        (output,) = container.infer("echo", REQUEST).json()["outputs"]
        assert output["data"] == [1.5, -2.0]
        image.podman("stop", "--time", "35", container.name)
        assert container.exit_code() == "0"
