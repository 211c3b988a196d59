"""Public types to raw bytes and to messages of the gRPC wire, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oipserver import types
from oipserver.codecs import NumpyCodec, StringCodec
from oipserver.compat.grpc import converters
from oipserver.compat.grpc import dataplane_pb2 as pb
from oipserver.compat.raw import extract_raw, inject_raw, pack, unpack
from oipserver.errors import InferenceError, InvalidArgumentError
from oipserver.tensor import Tensor
from oipserver.types import Parameters, RequestInput, ResponseOutput, TensorData

WORDS = b"\x03\x00\x00\x00one\x03\x00\x00\x00two\x05\x00\x00\x00three"
DATATYPES = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "b",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}


def tensor(datatype: str, shape: list[int], data: Any) -> RequestInput:
    return RequestInput(name="x", datatype=datatype, shape=shape, data=data)


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("form", ["list", "nested", "array", "tensor"])
def test_numbers_to_raw_and_back(datatype: str, form: str) -> None:
    array = np.array([[1, 0], [1, 1], [0, 1]]).astype(DATATYPES[datatype])
    forms = {"list": array.ravel().tolist(), "nested": array.tolist(), "array": array}
    data = TensorData(Tensor.from_array("x", array)) if form == "tensor" else forms[form]
    packed = pack(tensor(datatype, [3, 2], data))
    assert packed == array.tobytes()
    assert unpack(tensor(datatype, [3, 2], []), packed) == array.ravel().tolist()


@pytest.mark.parametrize("data", [["one", "two", "three"], [b"one", b"two", b"three"], [["one"], ["two"], ["three"]]])
def test_words_to_raw_and_back(data: list[Any]) -> None:
    assert pack(tensor("BYTES", [3], data)) == WORDS
    assert unpack(tensor("BYTES", [3], []), WORDS) == [b"one", b"two", b"three"]


def test_raw_of_another_size_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="Expected 8, got 7"):
        unpack(tensor("FP32", [2], []), b"1234567")


def test_only_empty_tensors_are_given_raw_data() -> None:
    inputs = [tensor("BYTES", [3], []), tensor("FP32", [2], [1, 2]), tensor("FP32", [2], [])]
    filled = inject_raw(inputs, [WORDS, np.array([7, 8], np.float32).tobytes()])
    assert [item.data.root for item in filled] == [[b"one", b"two", b"three"], [1, 2], [7.0, 8.0]]


def test_raw_data_are_taken_out() -> None:
    outputs = [ResponseOutput(name="y", datatype="INT32", shape=[2], data=[1, 2])]
    emptied, raws = extract_raw(outputs)
    assert raws == [np.array([1, 2], np.int32).tobytes()]
    assert [output.data.root for output in emptied] == [[]]


# -- converters ------------------------------------------------------------------------------------------------------

REQUEST = types.InferenceRequest(
    id="7",
    parameters=Parameters(content_type="np", flag=True, count=3),
    inputs=[
        RequestInput(
            name="a", datatype="FP32", shape=[1, 2], data=[0.5, 2.0], parameters=Parameters(content_type="np")
        ),
        StringCodec.encode_input("b", ["hey", "you"]),
    ],
    outputs=[types.RequestOutput(name="y", parameters=Parameters(content_type="str"))],
)


@pytest.mark.parametrize("use_raw", [False, True])
def test_a_request_survives_the_wire(use_raw: bool) -> None:
    message = converters.ModelInferRequestConverter.from_types(REQUEST, "m", "v1", use_raw=use_raw)
    assert (message.model_name, message.model_version, len(message.raw_input_contents)) == ("m", "v1", 2 * use_raw)
    back = converters.ModelInferRequestConverter.to_types(pb.ModelInferRequest.FromString(message.SerializeToString()))
    assert back.model_dump() == REQUEST.model_dump()


@pytest.mark.parametrize("use_raw", [False, True])
def test_a_response_survives_the_wire(use_raw: bool) -> None:
    response = types.InferenceResponse(
        model_name="m",
        model_version="v1",
        id="7",
        parameters=Parameters(a="b"),
        outputs=[NumpyCodec.encode_output("y", np.array([[1, 2]], np.int64)), StringCodec.encode_output("t", ["é"])],
    )
    message = converters.ModelInferResponseConverter.from_types(response, use_raw=use_raw)
    back = converters.ModelInferResponseConverter.to_types(message)
    assert back.model_dump() == response.model_dump()


@pytest.mark.parametrize("datatype", [name for name in DATATYPES if name != "FP16"])
def test_every_datatype_has_typed_contents(datatype: str) -> None:
    message = converters.InferInputTensorConverter.from_types(tensor(datatype, [3], [1, 0, 1]))
    assert converters.InferInputTensorConverter.to_types(message).data.root == [1, 0, 1]


def test_what_has_no_typed_contents_must_be_raw() -> None:
    half = types.InferenceRequest(inputs=[tensor("FP16", [2], [1, 2])])
    with pytest.raises(InvalidArgumentError, match="use_raw"):
        converters.ModelInferRequestConverter.from_types(half, "m")
    message = converters.ModelInferRequestConverter.from_types(half, "m", use_raw=True)
    assert converters.ModelInferRequestConverter.to_types(message).inputs[0].data.root == [1.0, 2.0]


def test_elements_of_another_datatype_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="no INT32"):
        converters.InferInputTensorConverter.from_types(tensor("INT32", [1], ["one"]))


def test_an_error_in_a_stream_is_raised() -> None:
    with pytest.raises(InferenceError, match="broken"):
        converters.ModelInferResponseConverter.to_types(pb.ModelStreamInferResponse(error_message="broken"))


def test_metadata_survive_the_wire() -> None:
    server = types.MetadataServerResponse(name="s", version="1", extensions=["a", "b"])
    message = converters.ServerMetadataResponseConverter.from_types(server)
    assert converters.ServerMetadataResponseConverter.to_types(message) == server

    tensors = [types.MetadataTensor(name="x", datatype="FP32", shape=[-1, 2])]
    model = types.MetadataModelResponse(name="m", versions=["1"], platform="p", inputs=tensors, outputs=tensors)
    told = converters.ModelMetadataResponseConverter.from_types(model)
    assert converters.ModelMetadataResponseConverter.to_types(told) == model


def test_the_repository_index_survives_the_wire() -> None:
    item = types.RepositoryIndexResponseItem(name="m", version="1", state=types.State.READY, reason="")
    index = types.RepositoryIndexResponse(root=[item])
    message = converters.RepositoryIndexResponseConverter.from_types(index)
    assert converters.RepositoryIndexResponseConverter.to_types(message) == index
    asked = converters.RepositoryIndexRequestConverter.from_types(types.RepositoryIndexRequest(ready=True))
    assert asked.ready
    assert converters.RepositoryIndexRequestConverter.to_types(asked).ready is True
