"""The gRPC server, asked by real clients."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from oipserver.settings import Settings
from oipserver.tensor import DATATYPES
from oipserver.wire.grpc import SERVICE, GrpcServer, PortInUseError
from oipserver.wire.grpc.pb import inference_pb2 as pb

from .served_models import GATES
from .serving import Served, serving

MODELS = {
    "add": "Add",
    "echo": "Echo",
    "broken": "Broken",
    "busy": "Busy",
    "headers": "Headers",
    "pieces": "Pieces",
}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(MODELS) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(served.address) as opened:
        yield opened


@pytest.fixture
def call(served: Served) -> Iterator[Callable[..., Any]]:
    """Calls a method with one of our messages: ``call("ServerLive", pb.ServerLiveRequest(), timeout=1)``."""
    with served.channel() as channel:

        def ask(name: str, message: Any, **options: Any) -> Any:
            answer = getattr(pb, message.DESCRIPTOR.name.replace("Request", "Response"))
            method = channel.unary_unary(f"/{SERVICE}/{name}", type(message).SerializeToString, answer.FromString)
            return method(message, **options)

        yield ask


def tensor(name: str, array: np.ndarray[Any, Any], datatype: str | None = None) -> triton.InferInput:
    made = triton.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
    made.set_data_from_numpy(array)
    return made


PAIR = [tensor("a", np.full((1, 16), 2, np.float32)), tensor("b", np.full((1, 16), 3, np.float32))]


def infer_message(model: str, **fields: Any) -> pb.ModelInferRequest:
    """A request with one BYTES element, which any of the models takes."""
    contents = pb.InferTensorContents(bytes_contents=[b"x"])
    message = pb.ModelInferRequest(model_name=model, **fields)
    message.inputs.add(name="x", datatype="BYTES", shape=[1], contents=contents)
    return message


# -- inference ---------------------------------------------------------------------------------------------------------


def test_triton_client_infers(client: triton.InferenceServerClient) -> None:
    result = client.infer("add", PAIR, request_id="seven")
    assert result.as_numpy("sum").tolist() == [[5.0] * 16]
    assert result.get_response().id == "seven"
    assert result.get_response().model_name == "add"


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests(client: triton.InferenceServerClient, algorithm: str) -> None:
    result = client.infer("add", PAIR, compression_algorithm=algorithm)
    assert result.as_numpy("sum").tolist() == [[5.0] * 16]


def test_aio_clients_infer(served: Served) -> None:
    async def scenario() -> None:
        async with triton_aio.InferenceServerClient(served.address) as client:
            assert (await client.infer("add", PAIR)).as_numpy("sum").tolist() == [[5.0] * 16]
        async with grpc.aio.insecure_channel(served.address) as channel:
            method = channel.unary_unary(
                f"/{SERVICE}/ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
            )
            answer = await method(infer_message("echo"))
            assert answer.raw_output_contents[0] == b"\1\0\0\0x"

    asyncio.run(scenario())


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(set(DATATYPES) - {"BF16"})), st.lists(st.integers(0, 3), min_size=1, max_size=3))
def test_every_datatype_comes_back(served: Served, name: str, shape: list[int]) -> None:
    count = int(np.prod(shape))
    array = np.arange(count).reshape(shape)
    array = array.astype(str).astype(object) if name == "BYTES" else array.astype(DATATYPES[name].dtype)
    with triton.InferenceServerClient(served.address) as client:
        back = client.infer("echo", [tensor("x", array, name)]).as_numpy("x")
    if name == "BYTES":
        assert [value.decode() for value in back.ravel()] == array.ravel().tolist()
    else:
        assert back.dtype == array.dtype
        assert back.tobytes() == array.tobytes()
    assert list(back.shape) == shape


def test_large_messages_pass(client: triton.InferenceServerClient) -> None:
    array = np.arange(5_000_001, dtype=np.float32)
    assert np.array_equal(client.infer("echo", [tensor("x", array)]).as_numpy("x"), array)


def test_message_length_can_be_limited() -> None:
    with (
        serving({"echo": "Echo"}, grpc_max_message_length=1000) as served,
        triton.InferenceServerClient(served.address) as client,
    ):
        client.infer("echo", [tensor("x", np.zeros(100, np.float32))])
        with pytest.raises(InferenceServerException, match="RESOURCE_EXHAUSTED"):
            client.infer("echo", [tensor("x", np.zeros(1000, np.float32))])


def test_metadata_and_headers_travel(call: Callable[..., Any], served: Served) -> None:
    with served.channel() as channel:
        method = channel.unary_unary(
            f"/{SERVICE}/ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
        )
        metadata = (("x-color", "red"), ("x-data-bin", b"\0\1"))
        answer, ended = method.with_call(infer_message("headers"), metadata=metadata)
    assert answer.raw_output_contents[0] == b"\3\0\0\0red"
    trailing = {key: value for key, value in ended.trailing_metadata() if key.startswith("x-")}
    assert trailing == {"x-shade": "dark"}


def test_parameters_travel(call: Callable[..., Any]) -> None:
    message = infer_message("echo")
    message.parameters["n"].int64_param = 4
    assert call("ModelInfer", message).outputs[0].parameters["n"].int64_param == 4


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        (infer_message("nope"), "NOT_FOUND", "Request for unknown model: 'nope' is not found"),
        (infer_message("echo", model_version="9"), "NOT_FOUND", "version 9 is not found"),
        (infer_message(".."), "NOT_FOUND", "is not a model name"),
        (pb.ModelInferRequest(model_name="echo", raw_input_contents=[b""]), "OK", ""),
        (infer_message("echo", raw_input_contents=[b"x"]), "INVALID_ARGUMENT", "contents field must not be specified"),
        (infer_message("broken"), "INTERNAL", "model 'broken' failed: ZeroDivisionError: inside the model"),
        (infer_message("busy"), "UNAVAILABLE", "busy"),
        (infer_message("pieces"), "UNIMPLEMENTED", "model 'pieces'"),
        (infer_message("n" * 20_000), "NOT_FOUND", "Request for unknown model: 'nnn"),
    ],
)
def test_status_codes(call: Callable[..., Any], message: pb.ModelInferRequest, code: str, text: str) -> None:
    if code == "OK":
        call("ModelInfer", message)
        return
    with pytest.raises(grpc.RpcError) as caught:
        call("ModelInfer", message)
    assert caught.value.code().name == code
    assert text in caught.value.details()


def test_when_to_try_again_is_said(call: Callable[..., Any]) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call("ModelInfer", infer_message("busy"))
    trailing = dict(caught.value.trailing_metadata())
    assert trailing["retry-after"] == "2"
    assert trailing["grpc-retry-pushback-ms"] == "1500"


def test_unexpected_failures_are_not_shown(
    served: Served, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(served.server._data, "server_metadata", fail)
    with caplog.at_level(logging.ERROR), pytest.raises(grpc.RpcError) as caught:
        call("ServerMetadata", pb.ServerMetadataRequest())
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.details() == "internal server error"
    assert "secret" in caplog.text


def test_a_message_that_is_none_is_the_clients_mistake(served: Served) -> None:
    with served.channel() as channel:
        for name in ("ModelInfer", "ModelReady", "ModelMetadata", "RepositoryIndex", "RepositoryModelLoad"):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(f"/{SERVICE}/{name}")(b"\xff\xff")
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


# -- deadlines, cancellation, many at once -----------------------------------------------------------------------------


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
        inline, waited = (served.registry.find(name).statistics for name in ("add", "slow"))
        assert (inline.success.count, inline.fail.count) == (1, 1)
        assert (waited.success.count, waited.fail.count) == (1, 0)


# -- health and metadata -----------------------------------------------------------------------------------------------


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
        assert len(methods) == 10
        for name in methods:
            answer = channel.unary_unary(f"/{SERVICE}/{name}").future(b"\xff\xff", timeout=10)
            assert answer.code() is not grpc.StatusCode.UNIMPLEMENTED, name
        assert pool.FindServiceByName("grpc.health.v1.Health")


# -- model repository --------------------------------------------------------------------------------------------------


def test_model_control(call: Callable[..., Any], client: triton.InferenceServerClient) -> None:
    assert ("add", "READY") in {(row.name, row.state) for row in client.get_model_repository_index().models}
    client.unload_model("add")
    assert not client.is_model_ready("add")
    ready = call("RepositoryIndex", pb.RepositoryIndexRequest(ready=True)).models
    assert "add" not in {row.name for row in ready}
    client.load_model("add")
    assert client.is_model_ready("add")
    with pytest.raises(InferenceServerException, match="failed to load 'nope', failed to poll from model repository"):
        client.load_model("nope")


def test_kserves_dialect_has_the_name_in_the_first_field(call: Callable[..., Any]) -> None:
    unloaded = call("RepositoryModelUnload", pb.RepositoryModelUnloadRequest(repository_name="echo"))
    assert (unloaded.model_name, unloaded.is_unloaded) == ("echo", True)
    assert not call("ModelReady", pb.ModelReadyRequest(name="echo")).ready
    loaded = call("RepositoryModelLoad", pb.RepositoryModelLoadRequest(repository_name="echo"))
    assert (loaded.model_name, loaded.is_loaded) == ("echo", True)
    assert call("ModelReady", pb.ModelReadyRequest(name="echo")).ready


TEXT = pb.ModelRepositoryParameter(string_param="x")


@pytest.mark.parametrize(
    ("name", "message", "code", "text"),
    [
        ("RepositoryIndex", pb.RepositoryIndexRequest(repository_name="r"), "UNIMPLEMENTED", "'repository_name'"),
        (
            "RepositoryModelLoad",
            pb.RepositoryModelLoadRequest(repository_name="r", model_name="add"),
            "UNIMPLEMENTED",
            "'repository_name' specification is not supported",
        ),
        ("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="../x"), "NOT_FOUND", "is not a model name"),
        ("RepositoryModelLoad", pb.RepositoryModelLoadRequest(), "NOT_FOUND", "is not a model name"),
        (
            "RepositoryModelLoad",
            pb.RepositoryModelLoadRequest(model_name="add", parameters={"config": TEXT}),
            "UNIMPLEMENTED",
            "load parameter 'config' is not supported",
        ),
        (
            "RepositoryModelLoad",
            pb.RepositoryModelLoadRequest(model_name="add", parameters={"what": TEXT}),
            "INVALID_ARGUMENT",
            "unrecognized load parameter 'what'.",
        ),
        (
            "RepositoryModelUnload",
            pb.RepositoryModelUnloadRequest(model_name="add", parameters={"what": TEXT}),
            "INVALID_ARGUMENT",
            "unrecognized unload parameter 'what'.",
        ),
        (
            "RepositoryModelUnload",
            pb.RepositoryModelUnloadRequest(model_name="add", parameters={"unload_dependents": TEXT}),
            "INVALID_ARGUMENT",
            "invalid value type for 'unload_dependents' parameter, expected bool_param.",
        ),
    ],
)
def test_model_control_mistakes(call: Callable[..., Any], name: str, message: Any, code: str, text: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(name, message)
    assert caught.value.code().name == code
    assert text in caught.value.details()


# -- life --------------------------------------------------------------------------------------------------------------


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
