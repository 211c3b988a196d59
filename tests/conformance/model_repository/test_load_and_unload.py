"""The model repository extension in mode explicit, as Triton's own clients use it, on both wires."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tritonclient.utils import InferenceServerException

from tests.conformance.model_repository.clients import (
    WIRES,
    Client,
    adder,
    write_mlserver_model,
    write_model,
)
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

LAYOUTS = ("triton", "mlserver")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def server(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    temporary = tmp_path_factory.mktemp("temporary")
    options = ("--model-control-mode", "explicit", "--max-uploaded-bytes", "100000")
    with ServerProcess(root, *options, environ={"TMPDIR": str(temporary)}) as process:
        yield process
        assert process.stop() == 0
    assert list(temporary.glob("oipserver-*")) == []  # what was uploaded is gone with the server


@pytest.fixture(params=WIRES)
def client(request: pytest.FixtureRequest, server: ServerProcess) -> Client:
    return Client(request.param, server)


@pytest.fixture(params=LAYOUTS)
def simple(request: pytest.FixtureRequest, root: Path, client: Client) -> Iterator[str]:
    """A model that adds 1, not loaded."""
    name = f"simple-{request.param}"
    (write_model if request.param == "triton" else write_mlserver_model)(root / name, 1.0)
    yield name
    client.client.unload_model(name)


def refused(call: object, *arguments: object, **options: object) -> str:
    with pytest.raises(InferenceServerException) as caught:
        call(*arguments, **options)  # type: ignore[operator]
    return str(caught.value)


def test_nothing_is_loaded_and_the_server_is_ready(client: Client, simple: str) -> None:
    assert client.client.is_server_ready()
    assert client.rows(simple) == [{"name": simple}]
    assert not client.client.is_model_ready(simple)


def test_load_use_unload(client: Client, simple: str) -> None:
    version = {"version": "1"} if simple.endswith("triton") else {}
    client.client.load_model(simple)
    assert client.client.is_model_ready(simple)
    assert client.added(simple) == 1
    assert client.rows(simple) == [{"name": simple, **version, "state": "READY"}]
    client.client.unload_model(simple)
    assert not client.client.is_model_ready(simple)
    assert client.rows(simple) == [{"name": simple, **version, "state": "UNAVAILABLE", "reason": "unloaded"}]
    assert client.client.is_server_ready()
    client.client.unload_model(simple)  # once more changes nothing and is no mistake
    client.client.unload_model("never-heard-of")


def test_a_load_loads_what_changed_and_nothing_else(client: Client, simple: str, root: Path) -> None:
    client.client.load_model(simple)
    before = client.client.get_inference_statistics(simple)
    client.added(simple)
    client.client.load_model(simple)
    after = client.client.get_inference_statistics(simple)
    assert str(after) != str(before)  # counted on: it is still the same servable
    (write_model if simple.endswith("triton") else write_mlserver_model)(root / simple, 5.0)
    client.client.load_model(simple)
    assert client.added(simple) == 5


def test_a_change_that_cannot_be_used_leaves_the_old_model(client: Client, simple: str, root: Path) -> None:
    client.client.load_model(simple)
    file = next((root / simple).rglob("*.onnx"))
    file.write_bytes(b"no onnx")
    assert f"load failed for model '{simple}'" in (told := refused(client.client.load_model, simple))
    if simple.endswith("triton"):
        assert "version 1 is at UNAVAILABLE state: Internal: " in told
    assert client.added(simple) == 1
    (row,) = client.rows(simple)
    assert row["state"] == "READY"
    assert "is not an ONNX model" in row["reason"]
    assert client.client.is_server_ready()


def test_a_model_that_never_loaded_says_why(client: Client, root: Path) -> None:
    write_model(root / "hopeless", 1.0)
    (root / "hopeless" / "1" / "model.onnx").write_bytes(b"no onnx")
    assert "load failed for model 'hopeless': version 1" in refused(client.client.load_model, "hopeless")
    (row,) = client.rows("hopeless")
    assert (row["state"], row["version"]) == ("UNAVAILABLE", "1")
    assert not client.client.is_server_ready()
    client.client.unload_model("hopeless")
    assert client.client.is_server_ready()


def test_a_configuration_stays_until_the_files_change(client: Client, simple: str, root: Path) -> None:
    client.client.load_model(simple, config='{"backend": "onnxruntime", "max_batch_size": "16"}')
    assert client.max_batch_size(simple) == 16
    assert client.added(simple) == 1
    client.client.load_model(simple)
    assert client.max_batch_size(simple) == 16
    os.utime(next((root / simple).rglob("*.onnx")))
    client.client.load_model(simple)
    assert client.max_batch_size(simple) != 16
    client.client.load_model(simple, config='{"backend": "onnxruntime", "max_batch_size": 8}')
    assert client.max_batch_size(simple) == 8
    client.client.unload_model(simple)
    client.client.load_model(simple)
    assert client.max_batch_size(simple) != 8


def test_a_configuration_that_is_none(client: Client, simple: str) -> None:
    client.client.load_model(simple)
    for config in ("{", "7", '{"max_batch_size": "many"}', '{"max_batch_size": -5}'):
        told = refused(client.client.load_model, simple, config=config)
        assert f"failed to load '{simple}', failed to poll from model repository" in told
    assert client.added(simple) == 1


def test_uploaded_files_take_the_place_of_all_others(client: Client, simple: str) -> None:
    client.client.load_model(simple)
    files = {"file:3/model.onnx": adder(7.0), "file:4/model.onnx": adder(8.0)}
    config = json.dumps({"backend": "onnxruntime", "version_policy": {"all": {}}})
    client.client.load_model(simple, config=config, files=files)
    assert [row["version"] for row in client.rows(simple) if row["state"] == "READY"] == ["3", "4"]
    assert (client.added(simple), client.added(simple, "3")) == (8, 7)
    client.client.load_model(simple)
    assert client.added(simple) == 1


def test_a_model_may_be_nothing_but_an_upload(client: Client) -> None:
    client.client.load_model("uploaded", config='{"backend": "onnxruntime"}', files={"file:1/model.onnx": adder(9.0)})
    assert client.added("uploaded") == 9
    assert "failed to load 'uploaded'" in refused(client.client.load_model, "uploaded")
    assert client.added("uploaded") == 9
    client.client.unload_model("uploaded")
    assert client.rows("uploaded") == []


def test_an_upload_may_bring_the_settings_that_describe_it(client: Client) -> None:
    settings = {"name": "described", "implementation": "onnx", "parameters": {"uri": "./weights/a.onnx"}}
    files = {"file:model-settings.json": json.dumps(settings).encode(), "file:weights/a.onnx": adder(11.0)}
    upload(client, "described", files)
    assert client.added("described") == 11
    client.client.unload_model("described")
    upload(client, "configured", {"file:config.pbtxt": b'backend: "onnxruntime"', "file:1/model.onnx": adder(12.0)})
    assert client.added("configured") == 12
    client.client.unload_model("configured")


def upload(client: Client, name: str, files: dict[str, bytes]) -> None:
    """Load with files and no configuration, which Triton's own method does not offer."""
    if client.wire == "http":
        parameters = {path: base64.b64encode(content).decode() for path, content in files.items()}
        answer = client.client._post(
            f"v2/repository/models/{name}/load", json.dumps({"parameters": parameters}), None, None
        )
        if answer.status_code != 200:
            raise InferenceServerException(answer.read().decode())
        return
    service = client.module.service_pb2
    request = service.RepositoryModelLoadRequest(model_name=name)
    for path, content in files.items():
        request.parameters[path].bytes_param = content
    try:
        client.client._client_stub.RepositoryModelLoad(request)
    except grpc.RpcError as error:
        raise InferenceServerException(error.details()) from error  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"parameters": {"uri": "/etc/passwd"}}, "name /etc/passwd, which was not uploaded with them"),
        ({"parameters": {"uri": "../../x"}}, "which was not uploaded with them"),
        ({"parameters": {"uri": "file:///etc/passwd"}}, "name /etc/passwd"),
        ({"parameters": {"environment_tarball": "/x.tar.gz"}}, "name /x.tar.gz"),
        ({"name": "another"}, "failed to load 'described'"),
        ({"name": 7}, "failed to load 'described'"),
    ],
)
def test_uploaded_settings_name_nothing_else_on_the_machine(
    server: ServerProcess, settings: dict[str, object], complaint: str
) -> None:
    client = Client("http", server)
    told = {"name": "described", "implementation": "onnx", **settings}
    files = {"file:model-settings.json": json.dumps(told).encode()}
    assert complaint in refused(upload, client, "described", files)
    assert client.rows("described") == []


def test_files_that_are_refused(client: Client, simple: str) -> None:
    load = client.client.load_model
    config = '{"backend": "onnxruntime"}'
    for path in ("file:../x", "file:1/../../x", "file:/etc/x", "file:", "file:1//x", "file:1/./x"):
        told = refused(load, simple, config=config, files={path: b"x"})
        assert f"Invalid file parameter '{path}' must stay within model directory." in told
    told = refused(load, simple, config=config, files={f"file:1/{'a' * 300}": b"x"})
    assert f"failed to load '{simple}', failed to poll from model repository" in told
    told = refused(load, simple, config=config, files={"file:model.onnx": b"x"})
    assert f"failed to load '{simple}'" in told
    told = refused(upload, client, simple, {"file:1/model.onnx": adder(2.0)})
    assert "without 'config'" in told
    told = refused(load, simple, config=config, files={"file:1/model.onnx": bytes(200_000)})
    assert "max_uploaded_bytes" in told


@pytest.mark.parametrize("name", ["...", "..my_model", "model..1", "model....1", "model.version1", "a b", "ä"])
def test_names_as_people_give_them(client: Client, root: Path, name: str) -> None:
    write_model(root / name, 3.0)
    client.client.load_model(name)
    assert client.added(name) == 3
    assert [row["state"] for row in client.rows(name)] == ["READY"]
    client.client.unload_model(name)
    client.client.load_model(name, config='{"backend": "onnxruntime"}', files={"file:1/model.onnx": adder(4.0)})
    assert client.added(name) == 4
    client.client.unload_model(name)


def test_what_a_minimal_folder_of_mlflows_plugin_needs(client: Client, root: Path) -> None:
    folder = root / "deployed"
    write_model(folder, 1.0)
    (folder / "1" / "model.onnx").rename(folder / "1" / "graph.onnx")
    (folder / "config.pbtxt").write_text('\nbackend: "onnxruntime"\ndefault_model_filename: "graph.onnx"\n')
    (folder / "mlflow-meta.json").write_text('{"name": "deployed"}')
    (folder / "labels.txt").write_text("a\nb\n")
    client.client.load_model("deployed")
    assert client.added("deployed") == 1
    assert client.client.get_model_metadata("deployed")
    (folder / "1" / "graph.onnx").write_bytes(adder(2.0))  # the plugin updates in place
    client.client.load_model("deployed")
    assert client.added("deployed") == 2
    client.client.unload_model("deployed")
    (folder / "mlflow-meta.json").unlink()
    assert [row["state"] for row in client.rows("deployed")] == ["UNAVAILABLE"]
    (folder / "1" / "graph.onnx").unlink()
    assert "load failed for model 'deployed'" in refused(client.client.load_model, "deployed")
    client.client.unload_model("deployed")


def test_what_is_nowhere(client: Client) -> None:
    told = refused(client.client.load_model, "nope")
    assert "failed to load 'nope', failed to poll from model repository" in told
    assert "500" in told or "INTERNAL" in told
    told = refused(client.client.load_model, "nope", config='{"max_batch_size": 1}')
    assert "failed to load 'nope', failed to poll from model repository" in told
    assert client.client.is_server_ready()
