"""The public types: names, fields, JSON form and the method names models are written with."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pydantic
import pytest

from oipserver import types
from oipserver.types import (
    Datatype,
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    MetadataTensor,
    Parameters,
    RepositoryIndexResponse,
    RepositoryIndexResponseItem,
    RequestInput,
    RequestOutput,
    ResponseOutput,
    State,
    TensorData,
)

FIELDS = {
    "MetadataServerResponse": {"name", "version", "extensions"},
    "MetadataServerErrorResponse": {"error"},
    "MetadataModelErrorResponse": {"error"},
    "Parameters": {"content_type", "headers"},
    "RequestOutput": {"name", "parameters"},
    "InferenceErrorResponse": {"error"},
    "MetadataTensor": {"name", "datatype", "shape", "parameters"},
    "RequestInput": {"name", "shape", "datatype", "parameters", "data"},
    "ResponseOutput": {"name", "shape", "datatype", "parameters", "data"},
    "InferenceResponse": {"model_name", "model_version", "id", "parameters", "outputs"},
    "MetadataModelResponse": {"name", "versions", "platform", "inputs", "outputs", "parameters"},
    "InferenceRequest": {"id", "parameters", "inputs", "outputs"},
    "RepositoryIndexRequest": {"ready"},
    "RepositoryIndexResponseItem": {"name", "version", "state", "reason"},
    "RepositoryLoadErrorResponse": {"error"},
    "RepositoryUnloadErrorResponse": {"error"},
}


@pytest.fixture
def request_() -> InferenceRequest:
    return InferenceRequest(inputs=[RequestInput(name="a", shape=[2], datatype=Datatype.FP32, data=[1, 2])])


@pytest.mark.parametrize("name", FIELDS)
def test_fields(name: str) -> None:
    assert set(getattr(types, name).model_fields) == FIELDS[name]


def test_dumps_leave_out_what_was_not_set(request_: InferenceRequest) -> None:
    plain = {"inputs": [{"name": "a", "shape": [2], "datatype": "FP32", "data": [1, 2]}]}
    assert request_.model_dump() == plain
    assert json.loads(request_.model_dump_json()) == plain


def test_names_of_pydantic_1_work_without_warnings(request_: InferenceRequest, tmp_path: Path) -> None:
    everything = {
        "id": None,
        "parameters": None,
        "inputs": [{"name": "a", "shape": [2], "datatype": "FP32", "parameters": None, "data": [1, 2]}],
        "outputs": None,
    }
    file = tmp_path / "request.json"
    file.write_text(request_.model_dump_json())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert request_.dict() == everything
        assert json.loads(request_.json()) == everything
        assert request_.dict(exclude={"inputs"}, exclude_none=True) == {}
        assert InferenceRequest.parse_obj(everything) == InferenceRequest(**everything)
        assert InferenceRequest.parse_raw(request_.model_dump_json()) == request_
        assert InferenceRequest.parse_file(file) == request_
        assert request_.copy() == request_
        assert request_.copy(update={"id": "7"}).id == "7"
        assert request_.copy(update={"id": "7"}, exclude={"id"}) == request_
        assert request_.copy(update={"id": "7"}, include={"id"}).model_dump() == {"id": "7"}
        assert RequestInput.construct(name="b").name == "b"
        assert InferenceRequest.schema()["title"] == "InferenceRequest"
        assert json.loads(InferenceRequest.schema_json()) == InferenceRequest.schema()


def test_a_deep_copy_shares_no_elements(request_: InferenceRequest) -> None:
    copied = request_.copy(deep=True)
    copied.inputs[0].data.root[0] = 9
    assert request_.inputs[0].data.root == [1, 2]


@pytest.mark.parametrize("datatype", list(Datatype))
def test_enum_members_read_back_as_their_values(datatype: Datatype) -> None:
    assert RequestInput(name="a", shape=[0], datatype=datatype, data=[]).datatype == datatype.value
    assert MetadataTensor(name="a", shape=[-1], datatype=datatype).datatype == datatype.value


def test_bfloat16_is_a_datatype() -> None:
    assert Datatype("BF16") is Datatype.BF16


def test_an_unknown_datatype_is_refused() -> None:
    with pytest.raises(pydantic.ValidationError, match="datatype"):
        RequestInput(name="a", shape=[1], datatype="FP31", data=[1])


def test_parameters_keep_any_key() -> None:
    parameters = Parameters(content_type="np", threshold=0.5)
    assert parameters.threshold == 0.5
    assert parameters.model_dump() == {"content_type": "np", "threshold": 0.5}
    assert not hasattr(parameters, "other")


def test_equality_is_by_value(request_: InferenceRequest) -> None:
    other = InferenceRequest(
        inputs=[RequestInput(name="a", shape=[2], datatype=Datatype.FP32, data=TensorData([1, 2]))]
    )
    assert request_ == other
    other.inputs[0].data.root.append(3)
    assert request_ != other


def test_a_response_is_json_with_text_for_bytes() -> None:
    output = ResponseOutput(name="o", shape=[1], datatype="BYTES", data=["é".encode()])
    response = InferenceResponse(model_name="m", outputs=[output])
    assert json.loads(response.model_dump_json())["outputs"][0]["data"] == ["é"]


def test_requested_outputs_and_metadata() -> None:
    asked: dict[str, Any] = {"inputs": [], "outputs": [{"name": "o", "parameters": {"content_type": "str"}}]}
    outputs = InferenceRequest.model_validate(asked).outputs
    assert outputs == [RequestOutput(name="o", parameters=Parameters(content_type="str"))]
    assert MetadataModelResponse(name="m", platform="").model_dump() == {"name": "m", "platform": ""}


def test_the_repository_index_is_a_list() -> None:
    item = RepositoryIndexResponseItem(name="m", version="1", state=State.READY, reason="")
    index = RepositoryIndexResponse([item])
    assert (list(index), index[0], len(index)) == ([item], item, 1)
    assert json.loads(index.model_dump_json()) == [{"name": "m", "version": "1", "state": "READY", "reason": ""}]
