"""Models that bring their own Python environment, packed or not, run in it from end to end."""

from __future__ import annotations

import json
import site
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

MODEL = """
import sys
import numpy as np
from oipserver import MLModel, Tensor
import only_in_the_environment


class Told(MLModel):
    def infer_tensors(self, inputs, outputs, parameters):
        told = np.array([sys.prefix.encode(), only_in_the_environment.WORD.encode()], dtype=object)
        return [Tensor.from_array("TOLD", told)]
"""
TRITON_MODEL = """
import sys
import numpy as np
import only_in_the_environment
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        told = np.array([sys.prefix, only_in_the_environment.WORD])
        return [pb_utils.InferenceResponse([pb_utils.Tensor("TOLD", told)]) for _ in requests]
"""
CONFIGURATION = """
backend: "python"
input [ { name: "IN" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "TOLD" data_type: TYPE_STRING dims: [ 2 ] } ]
parameters [ { key: "EXECUTION_ENV_PATH" value: { string_value: "$$TRITON_MODEL_DIRECTORY/%s" } } ]
"""


def make_environment(folder: Path) -> Path:
    """An interpreter of its own, with a module of its own and everything that this one has."""
    venv.create(folder, symlinks=False, with_pip=False)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (packages / "only_in_the_environment.py").write_text("WORD = 'here'\n")
    here = [path for path in (*site.getsitepackages(), sysconfig.get_path("purelib")) if path in sys.path]
    (packages / "everything.pth").write_text(f"import site; list(map(site.addsitedir, {here!r}))\n")
    return folder


def pack(folder: Path, target: Path) -> None:
    with tarfile.open(target, "w:gz") as archive:
        archive.add(folder, arcname=".")


def write_triton_model(folder: Path, environment: str) -> Path:
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.py").write_text(TRITON_MODEL)
    (folder / "config.pbtxt").write_text(CONFIGURATION % environment)
    return folder


def told(server: ServerProcess, model: str) -> list[str]:
    request: dict[str, Any] = {"inputs": [{"name": "IN", "shape": [1], "datatype": "INT32", "data": [1]}]}
    answer: httpx.Response = server.infer(model, request)
    assert answer.status_code == 200, answer.text
    data: list[str] = answer.json()["outputs"][0]["data"]
    return data


def test_three_ways_to_bring_one(tmp_path: Path) -> None:
    environment = make_environment(tmp_path / "environment")
    root, unpacked = tmp_path / "models", tmp_path / "unpacked"
    plain = root / "plain"
    plain.mkdir(parents=True)
    (plain / "model.py").write_text(MODEL)
    settings = {
        "name": "plain",
        "implementation": "model.Told",
        "parameters": {"environment_tarball": "environment.tar.gz"},
    }
    (plain / "model-settings.json").write_text(json.dumps(settings))
    pack(environment, plain / "environment.tar.gz")
    packed = write_triton_model(root / "packed", "environment.tar.gz")
    pack(environment, packed / "environment.tar.gz")
    folder = write_triton_model(root / "folder", "environment")
    environment.rename(folder / "environment")

    with ServerProcess(root, environ={"OIPSERVER_ENVIRONMENTS_DIR": str(unpacked)}) as server:
        where, word = told(server, "plain")
        assert (Path(where).parent, word) == (unpacked, "here")
        where, word = told(server, "packed")
        assert (Path(where).parent, word) == (unpacked, "here")
        assert told(server, "folder") == [str(folder / "environment"), "here"]
    assert "only_in_the_environment" not in sys.modules


def test_an_environment_that_is_not_there(tmp_path: Path) -> None:
    write_triton_model(tmp_path / "lost", "nowhere.tar.gz")
    server = ServerProcess(tmp_path)
    server.spawn()
    assert server.wait() != 0
    assert "model 'lost': cannot unpack environment_tarball" in server.output
    assert f"{tmp_path / 'lost'}/nowhere.tar.gz" in server.output
