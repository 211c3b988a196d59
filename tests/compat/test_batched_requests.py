"""BatchedRequests: rows of several requests in one, and each one's rows back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oipserver.codecs import NumpyCodec
from oipserver.compat.batching import BatchedRequests
from oipserver.compat.batching.shape import Shape
from oipserver.errors import InvalidArgumentError
from oipserver.types import (
    InferenceRequest,
    InferenceResponse,
    Parameters,
    RequestInput,
    RequestOutput,
    ResponseOutput,
)


def row(data: Any, rows: int = 1, datatype: str = "INT32", **parameters: Any) -> RequestInput:
    given_parameters = {"parameters": Parameters(**parameters)} if parameters else {}
    return RequestInput(name="x", datatype=datatype, shape=[rows, 3], data=data, **given_parameters)


def ask(request_input: RequestInput, **fields: Any) -> InferenceRequest:
    return InferenceRequest(inputs=[request_input], **fields)


@pytest.mark.parametrize(
    ("parts", "merged"),
    [
        ([[1, 2, 3], [4, 5, 6]], [1, 2, 3, 4, 5, 6]),
        ([[[1, 2, 3]], [[4, 5, 6]]], [[1, 2, 3], [4, 5, 6]]),
        ([b"abc", b"def"], b"abcdef"),
        (["abc", "def"], "abcdef"),
    ],
)
def test_rows_are_joined_whatever_their_data_are(parts: list[Any], merged: Any) -> None:
    batched = BatchedRequests({str(number): ask(row(part)) for number, part in enumerate(parts)})
    (merged_input,) = batched.merged_request.inputs
    assert merged_input.shape == [2, 3]
    assert merged_input.data.root == merged
    answer = InferenceResponse(
        model_name="m", outputs=[ResponseOutput(name="y", datatype="INT32", shape=[2, 3], data=merged)]
    )
    split = batched.split_response(answer)
    assert [split[str(number)].outputs[0].data.root for number in range(len(parts))] == parts


def test_data_of_different_kinds_cannot_be_joined() -> None:
    with pytest.raises(InvalidArgumentError, match="'x'"):
        BatchedRequests({"a": ask(row([1, 2, 3])), "b": ask(row("abc"))})


def test_parameters_are_listed_where_several_have_them() -> None:
    requests = {
        "a": ask(row([1, 2, 3], content_type="np", foo="one"), parameters=Parameters(content_type="np")),
        "b": ask(row([4, 5, 6]), parameters=Parameters(who="b")),
        "c": ask(row([7, 8, 9], content_type="np", foo="two", time="13:00")),
    }
    merged = BatchedRequests(requests).merged_request
    assert merged.inputs[0].parameters == Parameters(content_type="np", foo=["one", "two"], time="13:00")
    assert merged.parameters == Parameters(content_type="np", who="b")


def test_listed_parameters_go_to_one_response_each() -> None:
    batched = BatchedRequests({name: ask(row([1, 2, 3])) for name in "abc"})
    parameters = Parameters(content_type="np", one=["first", "second"], each=["x", "y", "z"])
    output = ResponseOutput(name="y", datatype="INT32", shape=[3, 1], data=[1, 2, 3], parameters=parameters)
    split = batched.split_response(InferenceResponse(model_name="m", outputs=[output]))
    assert [split[name].outputs[0].parameters for name in "abc"] == [
        Parameters(content_type="np", one="first", each="x"),
        Parameters(content_type="np", one="second", each="y"),
        Parameters(content_type="np", each="z"),
    ]


def test_each_response_has_the_id_of_its_request() -> None:
    batched = BatchedRequests({"k1": ask(row([1, 2, 3]), id="first"), "k2": ask(row([4, 5, 6]), id="second")})
    output = ResponseOutput(name="y", datatype="INT32", shape=[2, 1], data=[6, 15])
    answer = InferenceResponse(model_name="m", model_version="v1", parameters=Parameters(a=1), outputs=[output])
    split = batched.split_response(answer)
    assert list(split) == ["k1", "k2"]
    assert [response.id for response in split.values()] == ["first", "second"]
    assert {(response.model_name, response.model_version) for response in split.values()} == {("m", "v1")}
    assert all(response.parameters == Parameters(a=1) for response in split.values())


def test_outputs_asked_for_are_asked_for_once() -> None:
    outputs = [RequestOutput(name="y", parameters=Parameters(content_type="np"))]
    requests = {name: ask(row([1, 2, 3]), outputs=outputs) for name in "ab"}
    assert BatchedRequests(requests).merged_request.outputs == outputs


def test_a_response_of_other_rows_is_refused() -> None:
    batched = BatchedRequests({"a": ask(row([1, 2, 3])), "b": ask(row([4, 5, 6]))})
    output = ResponseOutput(name="y", datatype="INT32", shape=[3, 1], data=[1, 2, 3])
    with pytest.raises(InvalidArgumentError, match="3 rows, but the requests have 2"):
        batched.split_response(InferenceResponse(model_name="m", outputs=[output]))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_everybody_gets_their_own_rows_back(sizes: list[int]) -> None:
    arrays = {str(index): np.full((rows, 3), index, np.float32) for index, rows in enumerate(sizes)}
    batched = BatchedRequests({key: ask(NumpyCodec.encode_input("x", array)) for key, array in arrays.items()})
    whole = NumpyCodec.decode_input(batched.merged_request.inputs[0])
    answer = InferenceResponse(model_name="m", outputs=[NumpyCodec.encode_output("y", whole * 2)])
    for key, response in batched.split_response(answer).items():
        np.testing.assert_array_equal(NumpyCodec.decode_output(response.outputs[0]), arrays[key] * 2)


def test_a_shape_changes_its_rows() -> None:
    shape = Shape([5, 2, 3])
    assert (shape.batch_axis, shape.batch_size, shape.elem_size) == (0, 5, 6)
    copy = shape.copy()
    copy.batch_size = 7
    assert copy.to_list() == [7, 2, 3]
    assert shape.to_list() == [5, 2, 3]
