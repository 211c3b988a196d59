"""Health, metadata and reflection."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import grpc
import pytest
import tritonclient.grpc as triton
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient.utils import InferenceServerException

from oipserver.pb import inference_pb2 as pb
from oipserver.wire.grpc import SERVICE

from .serving import Served, serving


def test_health_and_metadata(served: Served, client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("add")
    assert not client.is_model_ready("nope")
    assert not client.is_model_ready("add", "7")
    metadata = client.get_server_metadata()
    assert (metadata.name, metadata.version, list(metadata.extensions)) == ("oipserver", "1.2.3", ["model_repository"])
    assert client.get_model_metadata("add").name == "add"
    with pytest.raises(InferenceServerException, match="Request for unknown model"):
        client.get_model_metadata("wrong_model_name")


def test_readiness_is_told(call: Callable[..., Any], served: Served) -> None:
    served.readiness.ready = False
    try:
        assert not call("ServerReady", pb.ServerReadyRequest()).ready
        assert call("ServerLive", pb.ServerLiveRequest()).live
    finally:
        served.readiness.ready = True
    assert call("ServerReady", pb.ServerReadyRequest()).ready


@pytest.mark.parametrize("service", ["", SERVICE])
def test_health_service(served: Served, service: str) -> None:
    kind = health_pb2.HealthCheckResponse
    with served.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        asked = health_pb2.HealthCheckRequest(service=service)
        assert stub.Check(asked).status == kind.SERVING
        watch = stub.Watch(asked)
        assert next(watch).status == kind.SERVING
        served.readiness.ready = False
        try:
            assert next(watch).status == kind.NOT_SERVING
            assert stub.Check(asked).status == kind.NOT_SERVING
        finally:
            served.readiness.ready = True
        assert next(watch).status == kind.SERVING
        watch.cancel()
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="unknown"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_lists_what_is_served_and_nothing_else(served: Served) -> None:
    with served.channel() as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert set(database.get_services()) == {
            SERVICE,
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }
        pool = DescriptorPool(database)
        methods = list(pool.FindServiceByName(SERVICE).methods_by_name)
        assert len(methods) == 20
        for name in methods:
            answer = channel.unary_unary(f"/{SERVICE}/{name}").future(b"\xff\xff", timeout=10)
            assert answer.code() is not grpc.StatusCode.UNIMPLEMENTED, name
        assert pool.FindServiceByName("grpc.health.v1.Health")


def test_readiness_is_looked_at_when_something_says_that_it_changed_and_told_when_it_did() -> None:
    with serving({"echo": "Echo"}) as served, served.channel() as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        looks: queue.Queue[bool] = queue.Queue()
        asked = served.server._data._ready
        served.server._data._ready = lambda: looks.put(asked()) or asked()  # type: ignore[func-returns-value]
        for ready in (True, False, False, True):
            assert looks.empty()
            served.readiness.ready = ready
            assert looks.get(timeout=10) is ready
        assert [next(watch).status for _ in range(2)] == [
            health_pb2.HealthCheckResponse.NOT_SERVING,
            health_pb2.HealthCheckResponse.SERVING,
        ]
