"""Calls that wait: deadlines, cancellation, many at once, and how they are counted."""

from __future__ import annotations

import grpc
import pytest
import tritonclient.grpc as triton
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.utils import InferenceServerException

from oipserver.pb import inference_pb2 as pb
from oipserver.wire.grpc import SERVICE

from .clients import PAIR, infer_message
from .served_models import GATES
from .serving import serving


def test_an_expired_deadline_reaches_the_model() -> None:
    with serving({"slow": "Gated"}) as served, served.channel() as channel:
        method = channel.unary_unary(f"/{SERVICE}/ModelInfer", pb.ModelInferRequest.SerializeToString)
        with pytest.raises(grpc.RpcError) as caught:
            method(infer_message("slow"), timeout=0.3)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert GATES["slow"].cancelled.wait(10)


def test_a_cancelled_call_reaches_the_model() -> None:
    with serving({"slow": "Gated"}) as served, served.channel() as channel:
        method = channel.unary_unary(f"/{SERVICE}/ModelInfer", pb.ModelInferRequest.SerializeToString)
        pending = method.future(infer_message("slow"))
        GATES["slow"].wait_for(1)
        pending.cancel()
        assert GATES["slow"].cancelled.wait(10)


def test_many_slow_requests_are_in_flight_together() -> None:
    with serving({"slow": "Gated", "add": "Add"}) as served, served.channel() as channel:
        method = channel.unary_unary(
            f"/{SERVICE}/ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
        )
        pending = [method.future(infer_message("slow", id=str(number))) for number in range(64)]
        GATES["slow"].wait_for(64)
        with triton.InferenceServerClient(served.address) as client:
            assert client.infer("add", PAIR).as_numpy("sum").tolist() == [[5.0] * 16]
        GATES["slow"].open()
        answers = [future.result(timeout=20).id for future in pending]
    assert answers == [str(number) for number in range(64)]


def test_health_is_answered_while_every_thread_waits() -> None:
    with serving({"slow": "Gated"}, grpc_threads=2) as served, served.channel() as channel:
        method = channel.unary_unary(f"/{SERVICE}/ModelInfer", pb.ModelInferRequest.SerializeToString)
        pending = [method.future(infer_message("slow")) for _ in range(4)]
        GATES["slow"].wait_for(2)
        with triton.InferenceServerClient(served.address) as client:
            assert client.is_server_live(client_timeout=10)
            assert client.is_server_ready(client_timeout=10)
            assert client.is_model_ready("slow", client_timeout=10)
        check = health_pb2_grpc.HealthStub(channel).Check
        assert check(health_pb2.HealthCheckRequest(), timeout=10).status == health_pb2.HealthCheckResponse.SERVING
        GATES["slow"].open()
        for future in pending:
            future.result(timeout=20)


def test_every_request_is_counted_once() -> None:
    with serving({"add": "Add", "slow": "Gated"}) as served, served.channel() as channel:
        with triton.InferenceServerClient(served.address) as client:
            client.infer("add", PAIR)
            with pytest.raises(InferenceServerException):
                client.infer("add", PAIR[:1])
        method = channel.unary_unary(f"/{SERVICE}/ModelInfer", pb.ModelInferRequest.SerializeToString)
        pending = method.future(infer_message("slow"))
        GATES["slow"].wait_for(1)
        GATES["slow"].open()
        pending.result(timeout=20)
        inline, waited = (served.registry.find(name).statistics.totals for name in ("add", "slow"))
        assert (inline.success.count, inline.fail.count) == (1, 1)
        assert (waited.success.count, waited.fail.count) == (1, 0)
