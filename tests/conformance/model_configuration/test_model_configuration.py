"""What clients are told of a model's configuration, on both wires, whichever layout the model comes in."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from google.protobuf import json_format
from tritonclient.utils import InferenceServerException

from tests.conformance.same_models import MAX_BATCH_SIZE
from tests.conformance.wires import NOT_FOUND, Wire
from tests.support.server_process import ServerProcess


def configuration(wire: Wire, model: str, version: str = "") -> dict[str, Any]:
    """The configuration as JSON; over gRPC what protobuf makes of the client's own message."""
    told = wire.client.get_model_config(model, version)
    if wire.kind == "http":
        return dict(told)
    return json_format.MessageToDict(
        told.config, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def test_tensors_agree_with_the_metadata(wire: Wire, layout: str) -> None:
    told = configuration(wire, "add")
    assert told["name"] == "add"
    assert told["max_batch_size"] == (MAX_BATCH_SIZE if layout == "triton" else 0)
    dims = [16] if layout == "triton" else [-1, 16]
    for side, names in (("input", ["INPUT0", "INPUT1"]), ("output", ["OUTPUT0", "OUTPUT1"])):
        assert [tensor["name"] for tensor in told[side]] == names
        assert {tensor["data_type"] for tensor in told[side]} == {"TYPE_INT32"}
        assert [[int(dim) for dim in tensor["dims"]] for tensor in told[side]] == [dims, dims]
    assert {tensor["format"] for tensor in told["input"]} == {"FORMAT_NONE"}
    metadata = wire.client.get_model_metadata("add", **({} if wire.kind == "http" else {"as_json": True}))
    shapes = [[int(dim) for dim in tensor["shape"]] for tensor in metadata["inputs"]]
    assert shapes == [[-1, 16], [-1, 16]]


def test_what_clients_look_for_is_there(wire: Wire) -> None:
    told = configuration(wire, "text")
    assert (told["platform"], told["backend"]) == ("onnxruntime_onnx", "onnxruntime")
    assert told["version_policy"] == {"latest": {"num_versions": 1}}
    assert told["default_model_filename"] == "model.onnx"
    assert told["input"][0]["data_type"] == "TYPE_STRING"
    assert {"sequence_batching", "ensemble_scheduling", "model_transaction_policy", "response_cache"}.isdisjoint(told)
    for member, empty in (("parameters", {}), ("metric_tags", {}), ("model_warmup", []), ("batch_input", [])):
        assert told[member] == empty
    assert told["optimization"]["input_pinned_memory"] == {"enable": True}


def test_both_wires_tell_the_same(layout_server: ServerProcess) -> None:
    http, grpc = (Wire(kind, layout_server) for kind in ("http", "grpc"))
    for model in ("add", "scores", "text"):
        message = json_format.ParseDict(configuration(http, model), type(grpc.client.get_model_config(model).config)())
        assert message == grpc.client.get_model_config(model).config
    http.close()
    grpc.close()


def test_a_version_is_asked_for(wire: Wire, layout: str) -> None:
    if layout == "triton":
        assert configuration(wire, "add", "1")["name"] == "add"
    for model, version in (("add", "7"), ("nobody", ""), ("..", "")):
        with pytest.raises(InferenceServerException, match="Request for unknown model") as failure:
            configuration(wire, model, version)
        assert failure.value.status() == NOT_FOUND[wire.kind]


def test_it_can_only_be_read(layout_server: ServerProcess) -> None:
    url = layout_server.url("/v2/models/add/config")
    assert httpx.post(url, json={}).status_code == 405
    assert httpx.get(url).headers["content-type"] == "application/json"
    assert httpx.get(layout_server.url("/v2/models/nobody/config")).json()["error"].startswith("Request for unknown")


def test_the_extension_is_announced(wire: Wire) -> None:
    told = wire.client.get_server_metadata()
    assert "model_configuration" in (told["extensions"] if wire.kind == "http" else told.extensions)
