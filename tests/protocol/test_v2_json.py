import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oipserver.errors import InternalError, InvalidArgumentError, OIPError
from oipserver.protocol import InferResponse
from oipserver.protocol.binary_form import OutputForm
from oipserver.protocol.json_text import MAX_DEPTH, parse_json
from oipserver.protocol.v2_json import MAX_TENSORS, read_request, response_document, write_response
from oipserver.tensor import DATATYPES, Tensor


def good_input(**changes):
    item = {"name": "x", "shape": [2], "datatype": "INT32", "data": [1, 2]}
    item.update(changes)
    return {key: value for key, value in item.items() if value is not ...}


def body(**members):
    return json.dumps({"inputs": [good_input()], **members}).encode()


WRONG = [
    ("not JSON", b"{", "failed to parse the request JSON buffer"),
    ("empty", b"", "failed to parse the request JSON buffer"),
    ("not an object", b"[]", "expected a JSON object, got a list"),
    ("bad UTF-8", b'{"id": "\xff"}', "failed to parse the request JSON buffer"),
    ("bad UTF-8 beside NaN", b'{"id": "\xff", "x": NaN}', "invalid UTF-8"),
    ("half a surrogate pair", rb'{"id": "\ud800"}', "failed to parse the request JSON buffer"),
    ("half a surrogate pair beside NaN", rb'{"id": "\ud800", "x": NaN}', "surrogate"),
    ("no inputs", b"{}", "'inputs'"),
    ("inputs null", b'{"inputs": null}', "expected a list, got null"),
    ("inputs object", b'{"inputs": {}}', "expected a list, got an object"),
    ("input is text", b'{"inputs": ["x"]}', "expected a list of objects, got a string"),
    ("id number", body(id=7), "'id': expected a string, got an integer"),
    ("parameters list", body(parameters=[1]), "'parameters': expected an object, got a list"),
    ("content type list", body(parameters={"content_type": [1]}), "parameter 'content_type' has invalid type"),
    ("sequence id object", body(parameters={"sequence_id": {}}), "parameter 'sequence_id' has invalid type"),
    ("headers text list", body(parameters={"headers": ["x"]}), "parameter 'headers' has invalid type"),
    ("binary_data_output text", body(parameters={"binary_data_output": "yes"}), "'binary_data_output'"),
    ("outputs object", body(outputs={"name": "y"}), "'outputs': expected a list"),
    ("output without name", body(outputs=[{}]), "'outputs' has no member 'name'"),
    ("output twice", body(outputs=[{"name": "y"}, {"name": "y"}]), "output 'y' already exists in request"),
    ("binary_data number", body(outputs=[{"name": "y", "parameters": {"binary_data": 1}}]), "'binary_data'"),
    ("too many inputs", body(inputs=[good_input()] * (MAX_TENSORS + 1)), f"at most {MAX_TENSORS}"),
    ("no name", body(inputs=[good_input(name=...)]), "'inputs' has no member 'name'"),
    ("name number", body(inputs=[good_input(name=3)]), "'name': expected a string, got an integer"),
    ("no shape", body(inputs=[good_input(shape=...)]), "input 'x' has no member 'shape'"),
    ("no datatype", body(inputs=[good_input(datatype=...)]), "input 'x' has no member 'datatype'"),
    ("unknown datatype", body(inputs=[good_input(datatype="INT7")]), "got 'INT7'"),
    ("shape number", body(inputs=[good_input(shape=2)]), "'shape': expected a list of integers for input 'x'"),
    ("shape of booleans", body(inputs=[good_input(shape=[True])]), "got a boolean"),
    ("shape of floats", body(inputs=[good_input(shape=[2.0])]), "got a number"),
    ("shape -2", body(inputs=[good_input(shape=[-2])]), "dimensions are 0 or more"),
    ("two open dimensions", body(inputs=[good_input(shape=[-1, -1])]), "at most one may be -1"),
    ("open dimension not filled", body(inputs=[good_input(shape=[-1, 3])]), "2 elements cannot fill"),
    ("open dimension beside 0", body(inputs=[good_input(shape=[-1, 0])]), "cannot fill"),
    ("no data", body(inputs=[good_input(data=...)]), "Input must set only one of"),
    ("too few elements", body(inputs=[good_input(data=[1])]), "needs 2 elements, got 1"),
    ("ragged", body(inputs=[good_input(data=[[1], [2, 3]])]), "'x'"),
    ("float for INT32", body(inputs=[good_input(data=[1.5, 2])]), "INT32 takes integers"),
    ("boolean for INT32", body(inputs=[good_input(data=[True, False])]), "INT32 takes integers"),
    ("text for INT32", body(inputs=[good_input(data=["1", "2"])]), "INT32 takes integers"),
    ("object for INT32", body(inputs=[good_input(data={})]), "'x'"),
    ("number for BYTES", body(inputs=[good_input(datatype="BYTES")]), "BYTES takes strings"),
    ("out of range", body(inputs=[good_input(data=[1, 2**31])]), "out of range"),
    ("huge shape", body(inputs=[good_input(shape=[2**62, 2**62])]), "more elements than can be addressed"),
    (
        "binary size without binary data",
        body(inputs=[good_input(data=..., parameters={"binary_data_size": 8})]),
        "Inference-Header-Content-Length is missing",
    ),
    (
        "data and binary size",
        body(inputs=[good_input(parameters={"binary_data_size": 8})]),
        "set 'data' 'binary_data_size'",
    ),
    (
        "negative binary size",
        body(inputs=[good_input(data=..., parameters={"binary_data_size": -1})]),
        "'binary_data_size': expected an integer of 0 or more, got -1",
    ),
    (
        "boolean binary size",
        body(inputs=[good_input(data=..., parameters={"binary_data_size": True})]),
        "'binary_data_size'",
    ),
]


@pytest.mark.parametrize(("text", "message"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_wrong_request_is_refused_with_a_message_that_says_what_is_wrong(text, message):
    with pytest.raises(InvalidArgumentError) as caught:
        read_request(text, "m")
    assert message in caught.value.message


def test_everything_a_request_can_say_arrives():
    request, form = read_request(
        {
            "model_name": "ignored",
            "id": "7",
            "parameters": {"a": 1, "b": "t", "c": True, "d": 0.5, "headers": {"x": ["y"]}},
            "inputs": [good_input(parameters={"content_type": "np"})],
            "outputs": [{"name": "y", "parameters": {"classification": 2}, "shape": [1]}],
        },
        "m",
        "3",
    )
    assert (request.model_name, request.model_version, request.id) == ("m", "3", "7")
    assert request.parameters == {"a": 1, "b": "t", "c": True, "d": 0.5}
    assert request.inputs[0].parameters == {"content_type": "np"}
    assert [(output.name, output.parameters) for output in request.outputs] == [("y", {"classification": 2})]
    assert form is None
    assert request.inputs[0].array.tolist() == [1, 2]


@pytest.mark.parametrize("absent", ["id", "parameters", "outputs"])
def test_null_for_an_optional_member_is_none_given(absent):
    request, form = read_request(body(**{absent: None}), "m")
    assert (request.id, request.parameters, request.outputs, form) == ("", {}, [], None)


def test_lists_and_objects_are_parameters_for_models():
    nested = {"e": [1, {"k": None}], "f": {"g": [True]}}
    request, _ = read_request(body(parameters=nested, inputs=[good_input(parameters=nested)]), "m")
    assert request.parameters == nested
    assert request.inputs[0].parameters == nested


def test_null_for_a_parameter_is_none_given():
    parameters = {"content_type": "np", "headers": None, "b": None}
    request, _ = read_request(body(parameters=parameters, inputs=[good_input(parameters={"headers": None})]), "m")
    assert request.parameters == {"content_type": "np"}
    assert request.inputs[0].parameters is None


@pytest.mark.parametrize("length", ["characters", "bytes"])
@pytest.mark.parametrize("listed", [False, True])
def test_a_text_whose_shape_is_its_length_is_one_element(length, listed):
    text = '{"city": "Köln"}'
    shape = [len(text) if length == "characters" else len(text.encode())]
    tensor = {"name": "x", "datatype": "BYTES", "shape": shape, "data": [text] if listed else text}
    request, _ = read_request(body(inputs=[tensor]), "m")
    assert request.inputs[0].shape == (1,)
    assert request.inputs[0].array.tolist() == [text.encode()]


def test_the_callers_document_is_left_as_it_was():
    document = {
        "parameters": {"binary_data_output": True},
        "inputs": [good_input()],
        "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
    }
    before = json.dumps(document)
    read_request(document, "m")
    assert json.dumps(document) == before


@pytest.mark.parametrize("data", [[1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]])
def test_one_open_dimension_is_told_from_the_data(data):
    request, _ = read_request(body(inputs=[good_input(shape=[-1, 3], data=data)]), "m")
    assert request.inputs[0].shape == (2, 3)
    assert request.inputs[0].array.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_the_binary_default_is_only_for_outputs_that_are_not_listed():
    outputs = [{"name": "a"}, {"name": "b", "parameters": {"binary_data": True}}]
    request, form = read_request(body(parameters={"binary_data_output": True}, outputs=outputs), "m")
    assert form is not None
    assert [form.binary(name) for name in ("a", "b", "other")] == [False, True, True]
    assert request.parameters == {}
    assert [output.parameters for output in request.outputs] == [None, None]


@pytest.mark.parametrize("text", ["[" * 5000, "[" * 5000 + "NaN" + "]" * 5000, '{"a":' * 90000 + "NaN", "[NaN" * 200])
def test_deep_nesting_is_an_error_of_the_client(text):
    with pytest.raises(InvalidArgumentError):
        parse_json(text)


def test_depth_counts_brackets_outside_of_strings_only():
    text = '["' + '[{\\"' * 1000 + '", ' + "[" * (MAX_DEPTH - 1) + "NaN" + "]" * MAX_DEPTH
    assert isinstance(parse_json(text), list)
    with pytest.raises(InvalidArgumentError, match="101 levels"):
        parse_json("[" + text + "]")


def test_an_unterminated_string_costs_no_more_than_its_length():
    with pytest.raises(InvalidArgumentError):
        parse_json("[" * 200 + 'NaN "' + '\\"' * 200_000)


def test_literals_beyond_json_are_numbers():
    request, _ = read_request(
        b'{"inputs":[{"name":"x","shape":[4],"datatype":"FP32","data":[NaN,Infinity,-Infinity,null]}]}', "m"
    )
    values = request.inputs[0].array.tolist()
    assert math.isnan(values[0])
    assert values[1:3] == [math.inf, -math.inf]
    assert math.isnan(values[3])


def test_the_answer_has_the_members_in_order_and_leaves_out_what_is_not_there():
    tensor = Tensor.from_array("y", np.array([[1.5]], np.float32), parameters={"k": "v"})
    full = InferResponse("m", [tensor], "2", "i", {"p": 1})
    assert write_response(full) == (
        b'{"id":"i","model_name":"m","model_version":"2","parameters":{"p":1},'
        b'"outputs":[{"name":"y","datatype":"FP32","shape":[1,1],"parameters":{"k":"v"},"data":[1.5]}]}'
    )
    assert write_response(InferResponse("m", [])) == b'{"model_name":"m","outputs":[]}'


def test_nan_is_a_literal_or_null_as_wished():
    response = InferResponse("m", [Tensor.from_array("y", np.array([np.nan, np.inf], np.float32))])
    assert b"[NaN,Infinity]" in write_response(response)
    assert b"[null,null]" in write_response(response, nan_as_null=True)


def test_an_answer_json_cannot_hold_is_an_error_that_says_so():
    with pytest.raises(InternalError, match="model 'm'"):
        write_response(InferResponse("m", [], parameters={"bad": object()}))
    with pytest.raises(InvalidArgumentError, match="binary_data"):
        write_response(InferResponse("m", [Tensor.from_array("y", np.array([b"\xff"], object))]))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
LIKELY = st.fixed_dictionaries(
    {},
    optional={
        "id": JSON_VALUES,
        "parameters": JSON_VALUES,
        "outputs": st.lists(st.fixed_dictionaries({"name": JSON_VALUES}, optional={"parameters": JSON_VALUES})),
        "inputs": st.lists(
            st.fixed_dictionaries(
                {"name": st.text(max_size=3)},
                optional={
                    "shape": JSON_VALUES | st.lists(st.integers(-2, 4), max_size=3),
                    "datatype": st.sampled_from([*DATATYPES]) | JSON_VALUES,
                    "data": JSON_VALUES,
                    "parameters": JSON_VALUES,
                },
            ),
            max_size=3,
        ),
    },
)


@settings(max_examples=200, deadline=None)
@given(LIKELY | JSON_VALUES)
def test_no_value_whatever_is_worse_than_a_clients_mistake(value):
    text = json.dumps(value)
    try:
        request, _ = read_request(text, "m")
    except OIPError as error:
        assert isinstance(error, InvalidArgumentError)  # noqa: PT017
    else:
        for tensor in request.inputs:
            assert tensor.array.shape == tensor.shape


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([name for name in DATATYPES if name not in ("BF16", "BYTES")]))
def test_numbers_survive_json_both_ways(data, name):
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    array = data.draw(hnp.arrays(DATATYPES[name].dtype, shape))
    document = json.loads(write_response(InferResponse("m", [Tensor.from_array("x", array)])))
    request, _ = read_request({"inputs": document["outputs"]}, "m")
    back = request.inputs[0]
    assert (back.name, back.datatype, back.shape) == ("x", name, array.shape)
    np.testing.assert_array_equal(back.array, array)


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(object, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3), elements=st.text()))
def test_text_survives_json_both_ways(array):
    tensor = Tensor.from_array("x", np.vectorize(str.encode, otypes=[object])(array) if array.size else array, "BYTES")
    document = json.loads(write_response(InferResponse("m", [tensor])))
    request, _ = read_request({"inputs": document["outputs"]}, "m")
    assert [element.decode() for element in request.inputs[0].array.ravel()] == array.ravel().tolist()
    assert request.inputs[0].shape == array.shape


def test_outputs_are_binary_as_their_form_says():
    tensors = [Tensor.from_array(name, np.array([1, 2], np.int16)) for name in "ab"]
    document, blobs = response_document(InferResponse("m", tensors), OutputForm(named={"b": True}))
    assert [bytes(blob) for blob in blobs] == [b"\1\0\2\0"]
    assert "data" in document["outputs"][0]
    assert document["outputs"][1]["parameters"] == {"binary_data_size": 4}
    assert "data" not in document["outputs"][1]
