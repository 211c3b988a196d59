"""The logging extension through Triton's clients: settings are told, change what is logged, and are checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.support.models import write_identity_model
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

DEFAULTS = {
    "log_file": "",
    "log_info": True,
    "log_warning": True,
    "log_error": True,
    "log_verbose_level": 0,
    "log_format": "default",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    write_identity_model(tmp_path / "m", "FP32", 2)
    with ServerProcess(tmp_path) as process:
        yield process


def over_http(server: ServerProcess) -> Callable[..., dict[str, Any]]:
    client = http_client.InferenceServerClient(server.http)
    return lambda **changes: dict(client.update_log_settings(changes) if changes else client.get_log_settings())


def over_grpc(server: ServerProcess) -> Callable[..., dict[str, Any]]:
    client = grpc_client.InferenceServerClient(server.grpc)

    def settings(**changes: Any) -> dict[str, Any]:
        answer = client.update_log_settings(changes) if changes else client.get_log_settings()
        return {name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in answer.settings.items()}

    return settings


def test_both_wires_tell_and_change_the_same(server: ServerProcess) -> None:
    http, rpc = over_http(server), over_grpc(server)
    assert http() == rpc() == DEFAULTS
    changed = {**DEFAULTS, "log_info": False, "log_verbose_level": 2}
    assert http(log_info=False, log_verbose_level=2) == changed
    assert rpc() == changed
    assert rpc(log_info=True, log_verbose_level=0, log_format="ISO8601") == {**DEFAULTS, "log_format": "ISO8601"}
    assert http() == {**DEFAULTS, "log_format": "ISO8601"}
    # What is null stays as it is.
    answer = httpx.post(server.url("/v2/logging"), json={"log_error": None, "log_format": "default"})
    assert answer.json() == DEFAULTS


def test_they_change_what_is_logged(server: ServerProcess) -> None:
    http = over_http(server)

    def fail_to_load(name: str) -> None:
        httpx.post(server.url(f"/v2/repository/models/{name}/load"))

    (Path(server.root) / "m" / "model.onnx").write_bytes(b"no model")
    http(log_error=False)
    fail_to_load("m")
    http(log_error=True, log_format="ISO8601")
    fail_to_load("m")
    server.wait_for_output(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ERROR oipserver")
    assert server.output.count("ERROR oipserver.registry") == 1


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"log_file": "x"}, 501, "log file location can not be updated through network protocol"),
        ({"log_info": "yes"}, 400, "attempt to access JSON non-boolean as boolean: 'log_info' is a string"),
        ({"log_verbose_level": -1}, 400, "log_verbose_level"),
        ({"log_verbose_level": True}, 400, "non-unsigned-integer"),
        ({"log_format": "nope"}, 400, "invalid argument for --log_format, got: nope, expected default or ISO8601"),
        ({"log_format": 1}, 400, "non-string"),
        ({"log_color": True}, 400, "unknown log setting 'log_color'"),
    ],
)
def test_mistakes_over_rest_change_nothing(
    examples_server: ServerProcess, changes: dict[str, Any], status: int, message: str
) -> None:
    before = examples_server.get("/v2/logging").json()
    answer = httpx.post(examples_server.url("/v2/logging"), json={"log_warning": False, **changes})
    assert answer.status_code == status
    assert message in answer.json()["error"]
    assert examples_server.get("/v2/logging").json() == before


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"log_file": "x"}, "UNIMPLEMENTED", "log file location can not be updated through network protocol"),
        ({"log_info": "yes"}, "INVALID_ARGUMENT", "expect boolean for 'log_info'"),
        ({"log_verbose_level": True}, "INVALID_ARGUMENT", "expect unsigned int for 'log_verbose_level'"),
        ({"log_format": "nope"}, "INVALID_ARGUMENT", "invalid argument for --log_format, got: nope"),
        ({"log_color": "red"}, "INVALID_ARGUMENT", "unknown log setting 'log_color'"),
    ],
)
def test_mistakes_over_grpc(examples_server: ServerProcess, changes: dict[str, Any], status: str, message: str) -> None:
    kinds = {str: "string_param", bool: "bool_param"}  # Triton's client itself refuses some of these
    settings = {
        name: service_pb2.LogSettingsRequest.SettingValue(**{kinds[type(value)]: value})
        for name, value in changes.items()
    }
    with grpc.insecure_channel(examples_server.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            stub.LogSettings(service_pb2.LogSettingsRequest(settings=settings))
    assert raised.value.code().name == status
    assert message in raised.value.details()


def test_a_file_that_is_set_at_the_start(tmp_path: Path) -> None:
    write_identity_model(tmp_path / "models" / "m", "FP32", 2)
    file = tmp_path / "server.log"
    with ServerProcess(tmp_path / "models", "--log-file", str(file)) as server:
        assert server.get("/v2/logging").json() == {**DEFAULTS, "log_file": str(file)}
        assert server.stop() == 0
    assert "INFO oipserver.app.process: SIGTERM" in file.read_text()
    assert "INFO" not in server.output
    server = ServerProcess(tmp_path / "models", "--log-file", str(tmp_path / "no" / "x.log"))
    server.spawn()
    assert server.wait() == 1
    assert "log_file: cannot write to" in server.output


def test_a_setting_without_a_value_stays_as_it_is(examples_server: ServerProcess) -> None:
    with grpc_client.InferenceServerClient(examples_server.grpc) as client:
        answer = client.update_log_settings({"log_info": None})
        assert answer.settings["log_info"].bool_param is True
