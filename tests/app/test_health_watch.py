"""Whoever watches the gRPC health service learns what probes are told, when it happens."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

MODELS = """
import os

from oipserver import MLModel
from oipserver.types import InferenceResponse, ResponseOutput


class Works(MLModel):
    async def predict(self, payload):
        return InferenceResponse(model_name=self.name, outputs=[
            ResponseOutput(name="pid", shape=[1], datatype="INT64", data=[os.getpid()])])


class Broken(MLModel):
    async def load(self):
        raise ValueError("no weights")
"""
REQUEST = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}
STATUS = health_pb2.HealthCheckResponse


def write_model(root: Path, name: str, **settings: object) -> None:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "models.py").write_text(MODELS)
    (folder / "model-settings.json").write_text(
        json.dumps({"name": name, "implementation": f"models.{name.title()}", **settings})
    )


def statuses(watch: Iterator[STATUS]) -> Iterator[int]:
    """What a watch is told until it ends."""
    with suppress(grpc.RpcError):
        for told in watch:
            yield told.status


def test_watchers_learn_of_workers_models_and_the_end(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    write_model(tmp_path, "works", parallel_workers=1)
    server = serve(tmp_path)
    with grpc.insecure_channel(server.grpc) as channel:
        told = statuses(health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60))
        assert next(told) == STATUS.SERVING

        (output,) = server.infer("works", REQUEST).json()["outputs"]
        os.kill(output["data"][0], signal.SIGKILL)
        assert [next(told), next(told)] == [STATUS.NOT_SERVING, STATUS.SERVING]

        write_model(tmp_path, "broken", parallel_workers=0)
        assert httpx.post(server.url("/v2/repository/models/broken/load"), timeout=30).status_code >= 400
        assert next(told) == STATUS.NOT_SERVING
        assert server.get("/v2/health/ready").status_code == 503
        assert httpx.post(server.url("/v2/repository/models/broken/unload"), timeout=30).status_code == 200
        assert next(told) == STATUS.SERVING

        assert server.stop() == 0
        assert set(told) == {STATUS.NOT_SERVING}
