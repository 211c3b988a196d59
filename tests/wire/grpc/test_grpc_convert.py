"""Messages to requests and responses to messages, over every datatype; and what every mistake is called."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from oipserver.errors import InvalidArgumentError, NotFoundError, OIPError
from oipserver.pb.inference_pb2 import (
    InferParameter,
    InferTensorContents,
    ModelInferRequest,
    ModelInferResponse,
    ModelStreamInferResponse,
)
from oipserver.protocol import InferResponse
from oipserver.tensor import DATATYPES, Tensor
from oipserver.wire.grpc.convert import (
    SPLIT_FROM,
    encode_response,
    encode_stream_response,
    encode_typed_response,
    is_typed,
    parse_infer,
    request_id,
)

FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
SHAPES = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@st.composite
def arrays(draw: Any, names: list[str]) -> tuple[str, np.ndarray[Any, Any]]:
    name = draw(st.sampled_from(names))
    shape = draw(SHAPES)
    datatype = DATATYPES[name]
    if name == "BYTES":
        count = int(np.prod(shape))
        flat = np.empty(count, dtype=object)
        flat[:] = draw(st.lists(st.binary(max_size=8), min_size=count, max_size=count))
        return name, flat.reshape(shape)
    return name, draw(npst.arrays(datatype.dtype, shape))


def request(*inputs: dict[str, Any], raw: list[bytes] | None = None, **fields: Any) -> bytes:
    message = ModelInferRequest(**{"model_name": "simple", **fields}, raw_input_contents=raw or [])
    for one in inputs:
        message.inputs.add(**one)
    return message.SerializeToString()


def same(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


def equal(tensor: Tensor, name: str, array: np.ndarray[Any, Any]) -> bool:
    if name == "BYTES":
        return tensor.shape == array.shape and tensor.array.tolist() == array.tolist()
    return tensor.datatype == name and same(np.ascontiguousarray(tensor.array), np.ascontiguousarray(array))


@given(arrays(list(FIELDS)))
def test_typed_contents_become_the_array(drawn: tuple[str, np.ndarray[Any, Any]]) -> None:
    name, array = drawn
    contents = InferTensorContents(**{FIELDS[name]: array.ravel().tolist()})
    data = request({"name": "x", "datatype": name, "shape": array.shape, "contents": contents})
    [tensor] = parse_infer(data).inputs
    assert tensor.shape == array.shape
    assert equal(tensor, name, array)


@given(arrays(list(DATATYPES)), st.integers(0, 9))
def test_raw_contents_become_the_array(drawn: tuple[str, np.ndarray[Any, Any]], padding: int) -> None:
    name, array = drawn
    given_tensor = Tensor("x", name, array.shape, array=array)
    inputs = {"name": "x", "datatype": name, "shape": array.shape}
    # The small message is parsed whole, the large one is cut by hand.
    for filler in ("i" * padding, "i" * (SPLIT_FROM + padding)):
        [tensor] = parse_infer(request(inputs, raw=[bytes(given_tensor.raw)], id=filler)).inputs
        assert equal(tensor, name, array)
        assert tensor.array.flags.aligned


@given(arrays(list(DATATYPES)))
def test_outputs_are_raw(drawn: tuple[str, np.ndarray[Any, Any]]) -> None:
    name, array = drawn
    tensor = Tensor("y", name, array.shape, array=array)
    message = ModelInferResponse.FromString(encode_response(InferResponse("simple", [tensor], "3", "id")))
    assert (message.model_name, message.model_version, message.id) == ("simple", "3", "id")
    [output] = message.outputs
    assert (output.name, output.datatype, tuple(output.shape)) == ("y", name, array.shape)
    assert not output.HasField("contents")
    [raw] = message.raw_output_contents
    assert raw == bytes(tensor.raw)


def test_large_raw_contents_are_not_copied() -> None:
    raw = b"x" * SPLIT_FROM
    for padding in range(8):  # one of eight lengths aligns the data
        data = request({"name": "x", "datatype": "UINT8", "shape": [len(raw)]}, raw=[raw], id="i" * padding)
        [tensor] = parse_infer(data).inputs
        if isinstance(tensor.raw, memoryview):
            assert tensor.raw.obj is data
            return
    pytest.fail("no length of the message gave a view of it")


def test_entries_belong_to_inputs_in_order() -> None:
    inputs = [{"name": name, "datatype": "UINT8", "shape": [1]} for name in "ab"]
    tensors = parse_infer(request(*inputs, raw=[b"\1", b"\2", b"surplus"])).inputs
    assert [(tensor.name, tensor.array.tolist()) for tensor in tensors] == [("a", [1]), ("b", [2])]


def test_everything_else_of_a_request_is_read() -> None:
    message = ModelInferRequest(model_name="m", model_version="2", id="7")
    message.parameters["flag"].bool_param = True
    message.parameters["count"].int64_param = -5
    message.parameters["text"].string_param = "ä"
    message.parameters["ratio"].double_param = 0.5
    message.parameters["priority"].uint64_param = 2**64 - 1
    message.inputs.add(name="x", datatype="INT8", shape=[0]).parameters["content_type"].string_param = "np"
    message.outputs.add(name="y").parameters["classification"].int64_param = 3
    message.outputs.add(name="z")
    read = parse_infer(message.SerializeToString(), {"a": "b"}, 99)
    assert (read.model_name, read.model_version, read.id, read.deadline) == ("m", "2", "7", 99)
    assert read.headers == {"a": "b"}
    assert read.parameters == {"flag": True, "count": -5, "text": "ä", "ratio": 0.5, "priority": 2**64 - 1}
    assert read.inputs[0].parameters == {"content_type": "np"}
    assert read.inputs[0].array.shape == (0,)
    assert [(output.name, output.parameters) for output in read.outputs] == [("y", {"classification": 3}), ("z", None)]


def test_response_parameters_keep_their_types() -> None:
    parameters: Any = {
        "flag": False,
        "count": -1,
        "huge": 2**63,
        "ratio": 1.5,
        "text": "t",
        "nothing": None,
        "list": [1, "a"],
        "beyond": 2**64,
    }
    tensor = Tensor("y", "INT8", (1,), array=np.zeros(1, np.int8), parameters={"headers": "no"})
    message = ModelInferResponse.FromString(encode_response(InferResponse("m", [tensor], parameters=parameters)))
    expected = {
        "flag": InferParameter(bool_param=False),
        "count": InferParameter(int64_param=-1),
        "huge": InferParameter(uint64_param=2**63),
        "ratio": InferParameter(double_param=1.5),
        "text": InferParameter(string_param="t"),
        "list": InferParameter(string_param='[1,"a"]'),
        "beyond": InferParameter(string_param=str(2**64)),
    }
    assert dict(message.parameters) == expected
    assert message.outputs[0].parameters["headers"].string_param == "no"


@pytest.mark.parametrize("error", ["", "it broke: ä"])
def test_stream_responses(error: str) -> None:
    tensor = Tensor("y", "UINT8", (300,), array=np.arange(300).astype(np.uint8))
    message = ModelStreamInferResponse.FromString(encode_stream_response(InferResponse("m", [tensor], id="7"), error))
    assert message.error_message == error
    assert message.infer_response.id == "7"
    assert message.infer_response.raw_output_contents[0] == tensor.array.tobytes()


def test_the_id_of_a_broken_request_is_found() -> None:
    assert request_id(request(id="7")) == "7"
    assert request_id(b"\xff") == ""


FP32_PAIR = {"name": "a", "datatype": "FP32", "shape": [2]}
ONES = InferTensorContents(fp32_contents=[1, 1])


@pytest.mark.parametrize(
    ("data", "kind", "text"),
    [
        (b"\xff\xff", InvalidArgumentError, "the message is not a ModelInferRequest"),
        (b"\xff\xff" + b"x" * SPLIT_FROM, InvalidArgumentError, "the message is not a ModelInferRequest"),
        (
            request({**FP32_PAIR, "contents": ONES}, raw=[b"\0" * 8]),
            InvalidArgumentError,
            "contents field must not be specified when using raw_input_contents for 'a' for model 'simple'",
        ),
        (
            request(FP32_PAIR),
            InvalidArgumentError,
            "unable to find data for input tensor 'a' for model 'simple' in request.",
        ),
        (
            request(FP32_PAIR, {**FP32_PAIR, "name": "b"}, raw=[b"\0" * 8]),
            InvalidArgumentError,
            "unable to find data for input tensor 'b' for model 'simple' in request.",
        ),
        (
            request({**FP32_PAIR, "datatype": "INT32", "contents": ONES}),
            InvalidArgumentError,
            "unexpected explicit tensor data for input tensor 'a' for model 'simple' of type 'FP32', "
            "expected datatype 'INT32'",
        ),
        (
            request({**FP32_PAIR, "contents": InferTensorContents(fp32_contents=[1, 1], int_contents=[1])}),
            InvalidArgumentError,
            "of type 'INT32', expected datatype 'FP32'",
        ),
        (
            request({**FP32_PAIR, "contents": InferTensorContents(fp32_contents=[1])}),
            InvalidArgumentError,
            "unexpected number of elements for input 'a' for model 'simple'. Expected 2, got 1",
        ),
        (
            request({**FP32_PAIR, "datatype": "FP16", "contents": ONES}),
            InvalidArgumentError,
            "datatype FP16, which can only be sent raw",
        ),
        (
            request({**FP32_PAIR, "datatype": "INT8", "contents": InferTensorContents(int_contents=[1, 128])}),
            InvalidArgumentError,
            "input 'a' for model 'simple' holds a value outside the range of INT8, -128 to 127",
        ),
        (
            request({**FP32_PAIR, "datatype": "UINT16", "contents": InferTensorContents(uint_contents=[1, 65536])}),
            InvalidArgumentError,
            "outside the range of UINT16, 0 to 65535",
        ),
        (request({**FP32_PAIR, "datatype": "INT128"}, raw=[b""]), InvalidArgumentError, "invalid datatype for input a"),
        (
            request(FP32_PAIR, raw=[b"\0" * 7]),
            InvalidArgumentError,
            "input byte size mismatch for input 'a' for model 'simple'. Expected 8, got 7",
        ),
        (request({**FP32_PAIR, "shape": [-1]}, raw=[b"\0" * 4]), InvalidArgumentError, "every dimension must be 0"),
        (
            request({**FP32_PAIR, "shape": [2**62, 2**62], "contents": ONES}),
            InvalidArgumentError,
            "more elements than can be addressed",
        ),
        (request(parameters={"p": InferParameter()}), InvalidArgumentError, "parameter 'p' has no value"),
        (
            request({**FP32_PAIR, "parameters": {"shared_memory_region": InferParameter(string_param="r")}}),
            InvalidArgumentError,
            "must be specified along with 'shared_memory_region' parameter for tensor 'a'",
        ),
        (
            request(
                outputs=[
                    ModelInferRequest.InferRequestedOutputTensor(
                        name="y", parameters={"shared_memory_region": InferParameter(string_param="r")}
                    )
                ]
            ),
            InvalidArgumentError,
            "must be specified along with 'shared_memory_region' parameter for tensor 'y'",
        ),
        *[
            (request(model_name=name), NotFoundError, f"Request for unknown model: '{name}' is not found")
            for name in ("", " ", ".", "..", "a/b", "a\\b")
        ],
    ],
)
def test_mistakes_have_a_code_and_a_text(data: bytes, kind: type[OIPError], text: str) -> None:
    with pytest.raises(kind) as caught:
        parse_infer(data)
    assert text in caught.value.message


@given(st.binary(max_size=200))
def test_no_message_makes_anything_but_an_oip_error(data: bytes) -> None:
    with suppress(OIPError):
        assert parse_infer(data).model_name


def test_raw_data_may_come_with_empty_contents() -> None:
    raw = np.ones(2, np.float32).tobytes()
    parsed = parse_infer(request({**FP32_PAIR, "contents": InferTensorContents()}, raw=[raw]))
    assert parsed.inputs[0].array.tolist() == [1, 1]


def test_a_text_whose_shape_is_its_length_is_one_element() -> None:
    contents = InferTensorContents(bytes_contents=[b'{"a": 1}'])
    parsed = parse_infer(request({"name": "a", "datatype": "BYTES", "shape": [8], "contents": contents}))
    assert parsed.inputs[0].shape == (1,)
    assert parsed.inputs[0].array.tolist() == [b'{"a": 1}']


@given(arrays(list(FIELDS)))
def test_typed_responses_hold_each_datatype_in_its_field(drawn: tuple[str, np.ndarray[Any, Any]]) -> None:
    name, array = drawn
    response = InferResponse("m", [Tensor("y", name, array.shape, array=array, parameters={"content_type": "np"})], "1")
    message = ModelInferResponse.FromString(encode_typed_response(response))
    (output,) = message.outputs
    assert not message.raw_output_contents
    assert [field.name for field, _ in output.contents.ListFields()] == ([FIELDS[name]] if array.size else [])
    np.testing.assert_array_equal(np.array(getattr(output.contents, FIELDS[name]), array.dtype), array.ravel())
    assert output.parameters["content_type"].string_param == "np"


def test_what_has_no_typed_contents_is_answered_raw() -> None:
    half, whole = np.ones(2, np.float16), np.ones(2, np.float32)
    response = InferResponse("m", [Tensor.from_array("h", half), Tensor.from_array("w", whole)], "1")
    message = ModelInferResponse.FromString(encode_typed_response(response))
    assert list(message.raw_output_contents) == [half.tobytes(), whole.tobytes()]


@pytest.mark.parametrize("typed", [False, True])
def test_how_a_request_came_is_known(typed: bool) -> None:
    data = {"contents": ONES} if typed else {}
    parsed = parse_infer(request({**FP32_PAIR, **data}, raw=None if typed else [b"\0" * 8]))
    assert is_typed(parsed) is typed
