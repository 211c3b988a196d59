"""The np codec: MLServer's wire forms, every dtype there and back, and no loss on binary wires."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from oipserver.codecs import CodecError, NumpyCodec, NumpyRequestCodec
from oipserver.codecs.numpy import _encode_data, convert_nan, to_datatype, to_dtype
from oipserver.protocol import InferRequest
from oipserver.tensor import Tensor, pack_bytes
from oipserver.tensor.json_data import bf16_from_float32
from oipserver.types import (
    Datatype,
    InferenceRequest,
    InferenceResponse,
    Parameters,
    RequestInput,
    ResponseOutput,
    TensorData,
    from_public,
    to_public,
)
from tests.codecs.rest_json import rest_output, rest_request

NUMBERS = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
]


def given_input(data: Any, datatype: str, shape: list[int], **fields: Any) -> RequestInput:
    return RequestInput(name="x", datatype=datatype, shape=shape, data=data, **fields)


def over_a_binary_wire(output: ResponseOutput) -> RequestInput:
    """What comes out where ``output`` is sent in as raw bytes."""
    tensor = from_public(InferenceResponse(model_name="m", outputs=[output]), InferRequest("m", [])).outputs[0]
    raw = Tensor(tensor.name, tensor.datatype, tensor.shape, raw=bytes(tensor.raw), parameters=tensor.parameters)
    return to_public(InferRequest("m", [raw])).inputs[0]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[1, 0], [1, 1]], np.float32), {"shape": [2, 2], "datatype": "FP32", "data": [1.0, 0.0, 1.0, 1.0]}),
        (np.array([[1, 0], [1, 1]], bool), {"shape": [2, 2], "datatype": "BOOL", "data": [True, False, True, True]}),
        (np.array([[1, 0], [1, 1]], np.int8), {"shape": [2, 2], "datatype": "INT8", "data": [1, 0, 1, 1]}),
        (np.array([[1, 0], [1, 1]], np.uint64), {"shape": [2, 2], "datatype": "UINT64", "data": [1, 0, 1, 1]}),
        (np.array([[1, 0]], np.float16), {"shape": [1, 2], "datatype": "FP16", "data": [1.0, 0.0]}),
        (np.array([1, 2, 3]), {"shape": [3, 1], "datatype": "INT64", "data": [1, 2, 3]}),
        (np.array(0.5), {"shape": [1], "datatype": "FP64", "data": [0.5]}),
        (np.array(["a", "bc"]), {"shape": [2, 1], "datatype": "BYTES", "data": ["a", "bc"]}),
        (np.array([[b"\x01"], [b"\x02"]]), {"shape": [2, 1], "datatype": "BYTES", "data": ["\x01", "\x02"]}),
        (np.array(["a", 1], object), {"shape": [2, 1], "datatype": "BYTES", "data": ["a", "1"]}),
        (np.array([[1.5, np.nan]]), {"shape": [1, 2], "datatype": "FP64", "data": [1.5, None]}),
        (np.array([[np.inf]]), {"shape": [1, 1], "datatype": "FP64", "data": [None]}),
        (np.array([[1.5]], ml_dtypes.bfloat16), {"shape": [1, 1], "datatype": "BF16", "data": [1.5]}),
    ],
)
def test_rest_form(array: Any, expected: dict[str, Any]) -> None:
    assert rest_output(NumpyCodec.encode_output("o", array)) == {
        "name": "o",
        "parameters": {"content_type": "np"},
        **expected,
    }


def test_dates_travel_as_text_with_their_dtype() -> None:
    dates = np.array(["2022-01-11T11:00", "NaT"], "datetime64[s]")
    output = NumpyCodec.encode_output("o", dates)
    assert rest_output(output) == {
        "name": "o",
        "shape": [2, 1],
        "datatype": "BYTES",
        "parameters": {"content_type": "np", "dtype": "datetime64[s]"},
        "data": ["2022-01-11T11:00:00", "NaT"],
    }
    decoded = NumpyCodec.decode_output(output)
    assert decoded.dtype == dates.dtype
    np.testing.assert_array_equal(decoded, dates.reshape(2, 1))


@pytest.mark.parametrize("array", [np.array([1j]), np.array([1], "timedelta64[s]"), np.zeros(1, [("a", int)])])
def test_arrays_without_a_datatype_are_refused_by_name(array: Any) -> None:
    with pytest.raises(CodecError, match=r"'o': arrays of dtype .* have no datatype"):
        NumpyCodec.encode_output("o", array)


def test_fixed_width_bytes_are_listed_as_one_buffer() -> None:
    output = NumpyCodec.encode_output("o", np.array([b"a", b"bc"]))
    assert output.data == TensorData([b"a\0bc"])
    assert NumpyCodec.decode_output(output).tolist() == [[b"a"], [b"bc"]]
    received = given_input([b"a\0bc"], "BYTES", [2, 1])
    assert NumpyCodec.decode_input(received).tolist() == [[b"a"], [b"bc"]]


def test_requests_and_responses_of_one_array() -> None:
    array = np.array([[1, 2], [3, 4]], np.int32)
    tensor = {"shape": [2, 2], "datatype": "INT32", "parameters": {"content_type": "np"}, "data": [1, 2, 3, 4]}
    request = NumpyRequestCodec.encode_request(array)
    assert rest_request(request) == {"parameters": {"content_type": "np"}, "inputs": [{"name": "input-1", **tensor}]}
    response = NumpyRequestCodec.encode_response("m", array, "v1")
    assert response.model_dump() == {
        "model_name": "m",
        "model_version": "v1",
        "parameters": {"content_type": "np"},
        "outputs": [{"name": "output-1", **tensor}],
    }
    np.testing.assert_array_equal(NumpyRequestCodec.decode_request(request), array)
    np.testing.assert_array_equal(NumpyRequestCodec.decode_response(response), array)


def test_a_request_of_two_inputs_is_refused() -> None:
    two = InferenceRequest(inputs=[given_input([1], "INT32", [1])] * 2)
    with pytest.raises(CodecError, match=r"^There was an error encoding / decoding the payload: The 'np' codec only "
                       r"supports a single input tensor \(2 were received\)$") as caught:  # fmt: skip
        NumpyRequestCodec.decode_request(two)
    assert caught.value.status_code == 400


@pytest.mark.parametrize(
    ("data", "datatype", "shape", "expected"),
    [
        ([1, 2, 3, 4], "INT32", [2, 2], np.array([[1, 2], [3, 4]], np.int32)),
        ([[1, 2], [3, 4]], "INT32", [2, 2], np.array([[1, 2], [3, 4]], np.int32)),
        ([1, None], "FP32", [2], np.array([1, np.nan], np.float32)),
        ([1.7, 2.2], "INT32", [2], np.array([1, 2], np.int32)),
        (["1", "2"], "INT32", [2], np.array([1, 2], np.int32)),
        ([1, 0], "BOOL", [2], np.array([True, False])),
        ([1, 2, 3, 4], "INT64", [-1, 2], np.array([[1, 2], [3, 4]])),
        (3.5, "FP64", [1], np.array([3.5])),
        ([1.5], "BF16", [1], np.array([1.5], np.float32)),
        (["a", "bc"], "BYTES", [2], np.array(["a", "bc"])),
        ([b"a", b"b"], "BYTES", [2, 1], np.array([[b"a"], [b"b"]])),
        ([b"abc", b"de"], "BYTES", [2], np.array([b"abc", b"de"], object)),
        ([b"a\0", b"b\0"], "BYTES", [2], np.array([b"a\0", b"b\0"], object)),
        ("hello", "BYTES", [1], np.array(["hello"])),
    ],
)
def test_decoding_lists(data: Any, datatype: str, shape: list[int], expected: Any) -> None:
    decoded = NumpyCodec.decode_input(given_input(data, datatype, shape))
    assert decoded.dtype == expected.dtype
    np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize(
    ("data", "datatype", "shape"),
    [
        ([1, None], "INT32", [2]),
        ([300], "UINT8", [1]),
        ([1, 2, 3], "FP32", [2, 2]),
        (["a"], "FP32", [1]),
        ([[1], [2, 3]], "FP32", [3]),
    ],
)
def test_what_cannot_be_decoded_is_the_callers_mistake(data: Any, datatype: str, shape: list[int]) -> None:
    with pytest.raises(CodecError, match=f"'x' is no {datatype} tensor of shape") as caught:
        NumpyCodec.decode_input(given_input(data, datatype, shape))
    assert caught.value.status_code == 400
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("dtype", NUMBERS)
@given(data=st.data())
def test_arrays_survive_a_binary_wire(dtype: str, data: st.DataObject) -> None:
    array = data.draw(npst.arrays(dtype, npst.array_shapes(min_dims=2, min_side=0, max_side=3)))
    received = over_a_binary_wire(NumpyCodec.encode_output("o", array))
    decoded = NumpyCodec.decode_input(received)
    assert decoded.dtype == array.dtype
    np.testing.assert_array_equal(decoded, array)
    assert received.data.source is not None


@given(npst.arrays(np.float32, (2, 3)))
def test_arrays_survive_their_own_lists(array: Any) -> None:
    output = NumpyCodec.encode_output("o", array)
    listed = ResponseOutput(name="o", datatype=output.datatype, shape=output.shape, data=output.data.elements())
    np.testing.assert_array_equal(NumpyCodec.decode_output(listed), array)


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=4))
def test_bytes_of_any_length_survive_a_binary_wire(elements: list[bytes]) -> None:
    array = np.empty(len(elements), object)
    array[:] = elements
    received = over_a_binary_wire(NumpyCodec.encode_output("o", array))
    assert NumpyCodec.decode_input(received).ravel().tolist() == elements


@given(
    st.lists(
        st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4), min_size=1
    )
)
def test_text_that_came_as_json_is_text(elements: list[str]) -> None:
    raw = pack_bytes(np.array([element.encode() for element in elements], object))
    tensor = Tensor("x", "BYTES", (len(elements),), raw=raw, text=True)
    decoded = NumpyCodec.decode_input(to_public(InferRequest("m", [tensor])).inputs[0])
    assert decoded.dtype.kind == "U"
    assert decoded.tolist() == elements


def test_bfloat16_decodes_to_float32() -> None:
    tensor = Tensor("x", "BF16", (1, 2), array=bf16_from_float32(np.array([[1.5, np.nan]], np.float32)))
    decoded = NumpyCodec.decode_input(to_public(InferRequest("m", [tensor])).inputs[0])
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, [[1.5, np.nan]])


def test_a_model_may_change_what_it_decodes() -> None:
    received = np.ones((1, 2), np.float32)
    received.flags.writeable = False
    for tensor in (Tensor("x", "FP32", (1, 2), raw=received.tobytes()), Tensor("x", "FP32", (1, 2), array=received)):
        decoded = NumpyCodec.decode_input(to_public(InferRequest("m", [tensor])).inputs[0])
        decoded += 1
        assert tensor.array.tolist() == [[1.0, 1.0]]


def test_a_replaced_list_or_shape_counts() -> None:
    request_input = given_input(TensorData(Tensor("x", "FP32", (4,), array=np.ones(4, np.float32))), "FP32", [4])
    request_input.data = [1, 2]
    request_input.shape = [2, 1]
    assert NumpyCodec.decode_input(request_input).tolist() == [[1.0], [2.0]]


def test_another_datatype_than_the_tensors_casts() -> None:
    request_input = given_input(TensorData(Tensor("x", "FP32", (1,), array=np.ones(1, np.float32))), "INT64", [1])
    assert NumpyCodec.decode_input(request_input).dtype == np.int64


def test_an_impossible_dtype_parameter_is_the_callers_mistake() -> None:
    parameters = Parameters(content_type="np", dtype="datetime64[parsec]")
    with pytest.raises(CodecError):
        NumpyCodec.decode_input(given_input(["2022"], "BYTES", [1], parameters=parameters))


def test_helpers_other_packages_import() -> None:
    assert to_datatype(np.dtype("float32")) is Datatype.FP32
    assert to_datatype(np.dtype(">i4")) is Datatype.INT32
    assert to_dtype(given_input([1], "FP32", [1])) == np.float32
    assert to_dtype(given_input(["a"], "BYTES", [1])) == np.dtype(str)
    assert to_dtype(given_input([b"a"], "BYTES", [1])) == np.dtype(object)
    assert _encode_data(np.array([1.5, np.nan]), Datatype.FP64) == [1.5, None]
    assert (convert_nan(float("nan")), convert_nan(1)) == (None, 1)
