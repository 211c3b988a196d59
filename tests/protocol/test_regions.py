"""Tensors that a JSON request names in client shared memory: where they are, and what is wrong about that."""

import json
import re

import numpy as np
import pytest

from oipserver.errors import InvalidArgumentError
from oipserver.protocol import InferResponse
from oipserver.protocol.regions import Place, PlacedTensor
from oipserver.protocol.v2_json import read_request, write_response
from oipserver.tensor import Tensor


def good_input(**changes):
    item = {"name": "x", "shape": [2], "datatype": "INT32", "data": [1, 2], **changes}
    return {key: value for key, value in item.items() if value is not ...}


def body(**members):
    return json.dumps({"inputs": [good_input()], **members}).encode()


def test_tensors_in_shared_memory_have_a_place_and_no_data():
    place = {"shared_memory_region": "r", "shared_memory_byte_size": 24, "shared_memory_offset": 8}
    outputs = [{"name": "y", "parameters": {**place, "mine": 1}}, {"name": "z"}]
    sent = good_input(data=..., parameters={**place, "mine": 1})
    request, form = read_request(body(inputs=[sent], outputs=outputs), "m")
    assert form is None
    (tensor,) = request.inputs
    assert isinstance(tensor, PlacedTensor)
    assert tensor.place == Place("r", 24, 8)
    assert tensor.parameters == {"mine": 1}
    assert request.regions == {"y": Place("r", 24, 8)}
    assert [output.parameters for output in request.outputs] == [{"mine": 1}, None]


def test_a_request_without_shared_memory_says_so():
    request, _ = read_request(body(inputs=[good_input()], outputs=[{"name": "y", "parameters": {"mine": 1}}]), "m")
    assert request.regions is None


def test_an_output_in_shared_memory_is_written_without_data():
    placed = PlacedTensor("y", "FP32", (2,), Place("r", 8), Place("r", 8).parameters)
    here = Tensor.from_array("z", np.ones(1, np.float32))
    document = json.loads(write_response(InferResponse("m", [placed, here])))
    assert document["outputs"] == [
        {"name": "y", "datatype": "FP32", "shape": [2]},
        {"name": "z", "datatype": "FP32", "shape": [1], "data": [1.0]},
    ]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"shared_memory_region": 1, "shared_memory_byte_size": 8}, "expected a string for 'x', got an integer"),
        ({"shared_memory_region": "r"}, "must be specified along with 'shared_memory_region' parameter for tensor 'x'"),
        ({"shared_memory_region": "r", "shared_memory_byte_size": -1}, "Unable to parse 'shared_memory_byte_size'"),
        ({"shared_memory_region": "r", "shared_memory_byte_size": True}, "got a boolean"),
        (
            {"shared_memory_region": "r", "shared_memory_byte_size": 8, "shared_memory_offset": "0"},
            "Unable to parse 'shared_memory_offset'",
        ),
        (
            {"shared_memory_region": "r", "shared_memory_byte_size": 8, "binary_data_size": 8},
            "set 'binary_data_size' 'shared_memory_region'",
        ),
    ],
)
def test_mistakes_about_shared_memory(parameters, text):
    with pytest.raises(InvalidArgumentError, match=re.escape(text)):
        read_request(body(inputs=[good_input(name="x", data=..., parameters=parameters)]), "m")


def test_data_and_shared_memory_exclude_each_other():
    parameters = {"shared_memory_region": "r", "shared_memory_byte_size": 8}
    with pytest.raises(InvalidArgumentError, match="set 'data' 'shared_memory_region'"):
        read_request(body(inputs=[good_input(parameters=parameters)]), "m")


@pytest.mark.parametrize("also", [{"binary_data": True}, {"classification": 1}])
def test_an_output_in_shared_memory_has_no_other_form(also):
    parameters = {"shared_memory_region": "r", "shared_memory_byte_size": 8, **also}
    (form,) = also
    with pytest.raises(InvalidArgumentError, match=f"Output can't set both 'shared_memory_region' and '{form}'"):
        read_request(body(inputs=[good_input()], outputs=[{"name": "y", "parameters": parameters}]), "m")
