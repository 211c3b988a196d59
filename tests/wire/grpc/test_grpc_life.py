"""The server's address, its end, and its observer."""

from __future__ import annotations

import asyncio
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from oipserver.pb import inference_pb2 as pb
from oipserver.settings import Settings
from oipserver.wire.grpc import SERVICE, GrpcServer, PortInUseError
from oipserver.wire.grpc import server as server_module

from .clients import infer_message
from .served_models import GATES
from .serving import Served, serving


def test_a_port_in_use_is_one_clear_line(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    taken = Settings(host="127.0.0.1", grpc_port=served.port)
    second = GrpcServer(served.server._data, served.server._control, taken)
    with pytest.raises(PortInUseError) as caught:
        asyncio.run(second.start())
    assert caught.value.message == (
        f"cannot listen on 127.0.0.1:{served.port}: Address already in use. "
        "Stop what uses it, or choose another with --grpc-port (0 picks a free one)."
    )
    assert capfd.readouterr().err == ""


def test_two_servers_never_share_a_port(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if the other server had come between the look at the port and taking it.
    monkeypatch.setattr(server_module, "_require_free", lambda host, port: None)
    taken = Settings(host="127.0.0.1", grpc_port=served.port)
    with pytest.raises(PortInUseError, match="the address cannot be used"):
        asyncio.run(GrpcServer(served.server._data, served.server._control, taken).start())


def test_an_address_of_another_machine_is_refused(served: Served) -> None:
    elsewhere = Settings(host="192.0.2.1", grpc_port=0)
    with pytest.raises(PortInUseError, match=r"cannot listen on 192\.0\.2\.1:0"):
        asyncio.run(GrpcServer(served.server._data, served.server._control, elsewhere).start())


def test_stop_lets_requests_finish() -> None:
    with serving({"slow": "Gated"}) as served, served.channel() as channel:
        method = channel.unary_unary(
            f"/{SERVICE}/ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
        )
        pending = method.future(infer_message("slow", id="last"))
        GATES["slow"].wait_for(1)
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        next(watch)
        with ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(lambda: served.run(served.server.stop(20)))
            assert [answer.status for answer in watch][-1] == health_pb2.HealthCheckResponse.NOT_SERVING
            assert not stopping.done()
            GATES["slow"].open()
            stopping.result(timeout=10)
        assert pending.result(timeout=10).id == "last"


def test_stop_cuts_off_what_does_not_finish() -> None:
    with serving({"slow": "Gated"}) as served, served.channel() as channel:
        method = channel.unary_unary(f"/{SERVICE}/ModelInfer", pb.ModelInferRequest.SerializeToString)
        pending = method.future(infer_message("slow"))
        GATES["slow"].wait_for(1)
        served.run(served.server.stop(0.1))
        assert pending.exception(timeout=10).code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        assert GATES["slow"].cancelled.wait(10)


class Notes:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, ...]] = []
        self.ended = threading.Semaphore(0)

    def started(self, method: str) -> None:
        self.lines.append(("started", method))

    def received(self, method: str) -> None:
        self.lines.append(("received", method))

    def sent(self, method: str) -> None:
        self.lines.append(("sent", method))

    def finished(self, method: str, code: str, seconds: float) -> None:
        assert 0 <= seconds < 60
        self.lines.append(("finished", method, code))
        self.ended.release()


def test_an_observer_is_told_of_every_call() -> None:
    notes = Notes()
    infer, stream = (f"/{SERVICE}/{name}" for name in ("ModelInfer", "ModelStreamInfer"))
    with serving({"echo": "Echo"}, observer=notes) as served, served.channel() as channel:
        method = channel.unary_unary(infer, pb.ModelInferRequest.SerializeToString)
        method(infer_message("echo"))
        with pytest.raises(grpc.RpcError):
            method(infer_message("nope"))
        requests = channel.stream_stream(stream, pb.ModelInferRequest.SerializeToString)
        assert len(list(requests(iter([infer_message("echo"), infer_message("nope")])))) == 2
        for _ in range(3):
            assert notes.ended.acquire(timeout=10)
    expected = [("started", infer), ("finished", infer, "OK"), ("started", infer), ("finished", infer, "NOT_FOUND")]
    assert notes.lines[:4] == expected
    streamed = notes.lines[4:]
    assert streamed[0] == ("started", stream)
    assert streamed[-1] == ("finished", stream, "OK")
    counts = {kind: len(list(group)) for kind, group in itertools.groupby(sorted(line[0] for line in streamed))}
    assert counts == {"started": 1, "received": 2, "sent": 2, "finished": 1}
