"""What MLModel offers to its subclasses: metadata, and decoding and encoding by it."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from oipserver.codecs import Base64Codec, NumpyCodec, NumpyRequestCodec, StringCodec, StringRequestCodec
from oipserver.codecs.errors import CodecError, CodecNotFound
from oipserver.model import MLModel
from oipserver.settings import ModelSettings
from oipserver.types import InferenceRequest, MetadataTensor, Parameters, RequestInput, RequestOutput

TEXT = MetadataTensor(name="x", datatype="BYTES", shape=[-1], parameters=Parameters(content_type="str"))


def model(**settings: Any) -> MLModel:
    return MLModel(ModelSettings(name="m", **settings))


def input_of(data: list[Any], datatype: str = "BYTES", content_type: str | None = None) -> RequestInput:
    parameters = Parameters(content_type=content_type) if content_type else None
    return RequestInput(name="x", datatype=datatype, shape=[len(data)], data=data, parameters=parameters)


def test_identity_and_state() -> None:
    made = model(parameters={"version": "3"})
    assert (made.name, made.version, made.ready) == ("m", "3", False)
    assert model().version is None
    assert made.settings.name == "m"


def test_metadata_comes_from_the_settings() -> None:
    declared = {"name": "x", "datatype": "BYTES", "shape": [-1], "parameters": {"content_type": "str"}}
    made = model(inputs=[declared], platform="p", versions=["v"], parameters={"content_type": "np"})
    told = asyncio.run(made.metadata())
    assert told.model_dump() == {
        "name": "m",
        "platform": "p",
        "versions": ["v"],
        "inputs": [declared],
        "outputs": [],
        "parameters": {"content_type": "np"},
    }
    assert made.inputs == [TEXT]
    assert made.decode(input_of([b"a"])) == ["a"]


def test_metadata_set_by_a_runtime_counts_at_once() -> None:
    made = model()
    assert made.decode(input_of(["a"])).root == ["a"]
    made.inputs = [TEXT]
    made.outputs = [
        MetadataTensor(name="o", datatype="BYTES", shape=[-1], parameters=Parameters(content_type="base64"))
    ]
    assert made.decode(input_of([b"a"])) == ["a"]
    assert made.encode([b"a"], RequestOutput(name="o")).data.root == [b"YQ=="]


def test_decoding_goes_by_content_type_metadata_and_default() -> None:
    made = model()
    assert made.decode(input_of([1, 2], "INT64", "np")).tolist() == [1, 2]
    assert made.decode(input_of([b"a"]), default_codec=StringCodec) == ["a"]
    made.inputs = [TEXT]
    assert made.decode(input_of([b"YQ=="], content_type="base64"), default_codec=NumpyCodec) == [b"a"]
    assert made.decode(input_of([b"a"]), default_codec=Base64Codec) == ["a"]


def test_an_unknown_content_type_gives_the_data_as_it_came() -> None:
    received = input_of(["a"], content_type="nope")
    assert model().decode(received) is received.data


def test_what_cannot_be_decoded_is_the_callers_mistake() -> None:
    with pytest.raises(CodecError):
        model().decode(input_of([b"\xff"], content_type="str"))


def test_requests_are_decoded_by_content_type_settings_and_default() -> None:
    def request(content_type: str | None = None) -> InferenceRequest:
        parameters = Parameters(content_type=content_type) if content_type else None
        return InferenceRequest(inputs=[input_of(["a"])], parameters=parameters)

    assert model().decode_request(request("str")) == ["a"]
    assert model(parameters={"content_type": "str"}).decode_request(request(), NumpyRequestCodec) == ["a"]
    assert model().decode_request(request(), StringRequestCodec) == ["a"]
    raw = request()
    assert model().decode_request(raw) is raw


def test_responses_are_encoded_by_payload_and_default() -> None:
    made = model(parameters={"version": "3"})
    response = made.encode_response(np.zeros((1, 2)))
    assert (response.model_name, response.model_version, response.outputs[0].name) == ("m", "3", "output-1")
    assert made.encode_response(("a",), StringRequestCodec).outputs[0].data.root == [b"a"]
    with pytest.raises(CodecNotFound, match="Codec not found for output response with type <class 'object'>"):
        made.encode_response(object())


def test_outputs_are_encoded_by_content_type_payload_and_default() -> None:
    made = model()
    asked = RequestOutput(name="o", parameters=Parameters(content_type="base64"))
    assert made.encode([b"a"], asked).data.root == [b"YQ=="]
    assert made.encode(["a"], RequestOutput(name="o")).parameters == Parameters(content_type="str")
    assert made.encode(("a",), RequestOutput(name="o"), StringCodec).shape == [1, 1]
    with pytest.raises(CodecNotFound, match="Codec not found for output field with name 'o'"):
        made.encode(object(), RequestOutput(name="o"))
