"""Flat JSON to requests and from responses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oipserver.errors import InternalError, InvalidArgumentError
from oipserver.protocol import InferResponse, ModelMetadata, TensorMetadata
from oipserver.protocol.generate_form import is_v2, read_generate, write_generate
from oipserver.tensor import Tensor


def metadata(**inputs):
    return ModelMetadata("m", inputs=tuple(TensorMetadata(name, *told) for name, told in inputs.items()))


@pytest.mark.parametrize(
    ("shape", "value", "expected"),
    [
        ((1,), 5, (1,)),
        ((-1,), 5, (1,)),
        ((-1,), [5, 6], (2,)),
        ((-1, 1), 5, (1, 1)),
        ((-1, 1), [5, 6], (2, 1)),
        ((-1, -1), [5, 6], (1, 2)),
        ((-1, 2), [5, 6], (1, 2)),
        ((-1, -1), [[5, 6], [7, 8]], (2, 2)),
        ((-1, -1, -1), [[5, 6], [7, 8]], (1, 2, 2)),
        ((2, 2), [[5, 6], [7, 8]], (2, 2)),
        ((-1,), [], (0,)),
    ],
)
def test_values_take_the_shape_of_the_input(shape, value, expected):
    request = read_generate({"x": value}, metadata(x=("INT32", shape)), "3")
    assert request.inputs[0].shape == expected
    assert request.inputs[0].array.ravel().tolist() == np.ravel(value).tolist()
    assert (request.model_name, request.model_version) == ("m", "3")


@pytest.mark.parametrize(
    ("shape", "value", "phrase"),
    [
        ((-1, -1, -1), [1, 2], "can not be deduced because there are more than one variable-sized dimension"),
        ((-1, 3), [1, 2], "2 elements cannot fill"),
        ((-1, 0), [1, 2], "2 elements cannot fill"),
        ((3,), [1, 2], "shape [3] needs 3 elements, got 2"),
        ((-1,), [[1, 2], [3]], "x"),
        ((-1,), "text", "INT32 takes integers"),
        ((-1,), None, "INT32 takes integers"),
        ((-1,), {}, "INT32 takes integers"),
    ],
)
def test_values_that_do_not_fit(shape, value, phrase):
    with pytest.raises(InvalidArgumentError) as caught:
        read_generate({"x": value}, metadata(x=("INT32", shape)))
    assert phrase in caught.value.message


def test_other_members_are_parameters_and_the_object_of_parameters_counts_more():
    document = {"x": "a", "id": "7", "top": 1, "stop": [","], "parameters": {"top": 2, "deep": {"a": 1}}}
    request = read_generate(document, metadata(x=("BYTES", (1,))))
    assert request.id == "7"
    assert request.parameters == {"top": 2, "stop": [","], "deep": {"a": 1}}
    assert document["parameters"] == {"top": 2, "deep": {"a": 1}}


def test_a_model_that_declares_nothing_takes_what_json_tells():
    document = {"t": "a", "b": True, "i": [1, 2], "f": [[1, 0.5]], "mixed": [1, "a"], "o": {}, "n": None, "e": []}
    request = read_generate(document, metadata())
    assert {tensor.name: (tensor.datatype, tensor.shape) for tensor in request.inputs} == {
        "t": ("BYTES", (1,)),
        "b": ("BOOL", (1,)),
        "i": ("INT64", (2,)),
        "f": ("FP64", (1, 2)),
    }
    assert request.parameters == {"mixed": [1, "a"], "o": {}, "e": []}


@pytest.mark.parametrize(
    ("document", "v2"),
    [
        ({"inputs": [{}]}, True),
        ({"inputs": []}, True),
        ({"inputs": "a"}, False),
        ({"inputs": ["a"]}, False),
        ({}, False),
    ],
)
def test_a_list_of_objects_under_inputs_is_a_v2_request(document, v2):
    assert is_v2(document) is v2


def test_an_answer_is_flat_and_sorted():
    tensors = [
        Tensor.from_array("z", np.float32([[0.1]])),
        Tensor.from_array("b", np.array([True, False])),
        Tensor.from_array("a", np.array([b"x"], object), "BYTES"),
        Tensor.from_array("empty", np.zeros(0, np.int8)),
    ]
    parameters = {"sequence_id": 0, "headers": {"x": "y"}, "triton_final_response": True}
    response = InferResponse("m", tensors, "1", "7", parameters)
    assert write_generate(response) == (
        b'{"a":"x","b":[true,false],"empty":[],"id":"7","model_name":"m","model_version":"1","sequence_id":0,"z":0.1}'
    )


def test_nan_is_a_literal_or_null():
    half = Tensor.from_array("h", np.float16([np.inf]))
    response = InferResponse("m", [Tensor.from_array("y", np.array([np.nan])), half])
    assert write_generate(response) == b'{"h":Infinity,"model_name":"m","y":NaN}'
    assert write_generate(response, nan_as_null=True) == b'{"h":null,"model_name":"m","y":null}'


def test_an_answer_json_cannot_hold_is_an_error_that_says_so():
    with pytest.raises(InternalError, match="model 'm' cannot be written as JSON"):
        write_generate(InferResponse("m", [], parameters={"x": object()}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["x", "y", "id", "parameters", "inputs", "q"]), JSON), st.booleans())
def test_no_document_is_worse_than_a_clients_mistake(document, declares):
    known = metadata(x=("INT32", (-1, 2)), y=("BYTES", (1,))) if declares else metadata()
    try:
        request = read_generate(json.loads(json.dumps(document)), known)
    except InvalidArgumentError:
        return
    write_generate(InferResponse("m", request.inputs, id=request.id))
