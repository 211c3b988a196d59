"""Loading and unloading by request, in both dialects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from oipserver.compat.grpc.model_repository_pb2_grpc import ModelRepositoryServiceStub
from oipserver.pb import inference_pb2 as pb

from .serving import Served


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


def test_the_older_service_of_mlserver_has_the_same_calls(served: Served, call: Callable[..., Any]) -> None:
    with served.channel() as channel:
        older = ModelRepositoryServiceStub(channel)
        index = older.RepositoryIndex(pb.RepositoryIndexRequest())
        assert ("add", "READY") in {(row.name, row.state) for row in index.models}
        older.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="add"))
        assert not call("ModelReady", pb.ModelReadyRequest(name="add")).ready
        older.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="add"))
        assert call("ModelReady", pb.ModelReadyRequest(name="add")).ready


def test_kserves_dialect_has_the_name_in_the_first_field(call: Callable[..., Any]) -> None:
    unloaded = call("RepositoryModelUnload", pb.RepositoryModelUnloadRequest(repository_name="echo"))
    assert (unloaded.model_name, unloaded.is_unloaded) == ("echo", True)
    assert not call("ModelReady", pb.ModelReadyRequest(name="echo")).ready
    loaded = call("RepositoryModelLoad", pb.RepositoryModelLoadRequest(repository_name="echo"))
    assert (loaded.model_name, loaded.is_loaded) == ("echo", True)
    assert call("ModelReady", pb.ModelReadyRequest(name="echo")).ready


TEXT = pb.ModelRepositoryParameter(string_param="x")
DATA = pb.ModelRepositoryParameter(bytes_param=b"x")


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
        (
            "RepositoryModelLoad",
            pb.RepositoryModelLoadRequest(model_name="../x"),
            "INVALID_ARGUMENT",
            "invalid model name '../x', model name must not contain path traversal characters",
        ),
        ("RepositoryModelLoad", pb.RepositoryModelLoadRequest(), "INVALID_ARGUMENT", "Model name cannot be empty."),
        (
            "RepositoryModelLoad",
            pb.RepositoryModelLoadRequest(model_name="add", parameters={"config": TEXT}),
            "INVALID_ARGUMENT",
            "failed to load 'add', failed to poll from model repository: 'config' is not JSON",
        ),
        (
            "RepositoryModelLoad",
            pb.RepositoryModelLoadRequest(model_name="add", parameters={"config": DATA}),
            "INVALID_ARGUMENT",
            "invalid value type for load parameter 'config', expected string_param.",
        ),
        (
            "RepositoryModelLoad",
            pb.RepositoryModelLoadRequest(model_name="add", parameters={"file:1/x": TEXT}),
            "INVALID_ARGUMENT",
            "invalid value type for load parameter 'file:1/x', expected bytes_param.",
        ),
        (
            "RepositoryModelLoad",
            pb.RepositoryModelLoadRequest(model_name="add", parameters={"file:../x": DATA}),
            "INVALID_ARGUMENT",
            "Invalid file parameter 'file:../x' must stay within model directory.",
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
