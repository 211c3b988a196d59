import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oipserver.errors import InvalidArgumentError
from oipserver.protocol import InferResponse, ModelMetadata, TensorMetadata
from oipserver.protocol.binary_form import OutputForm
from oipserver.protocol.v2_binary import json_length, read_binary_request, read_raw_request, write_buffers
from oipserver.tensor import DATATYPES, Tensor


def request_bytes(inputs, blobs):
    text = json.dumps({"inputs": inputs}).encode()
    return text + b"".join(blobs), len(text)


def item(name, shape, size, datatype="INT32"):
    return {"name": name, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}}


def test_inputs_take_their_bytes_in_order_without_a_copy():
    inputs = [
        item("a", [2], 8),
        {"name": "b", "shape": [1], "datatype": "INT32", "data": [9]},
        item("c", [1], 4),
    ]
    body, length = request_bytes(inputs, [np.array([1, 2, 3], np.int32).tobytes()])
    request, form = read_binary_request(body, length, "m")
    assert [tensor.array.tolist() for tensor in request.inputs] == [[1, 2], [9], [3]]
    assert form is None
    assert request.inputs[0].parameters is None
    assert np.shares_memory(request.inputs[0].array, np.frombuffer(body, np.uint8))


@pytest.mark.parametrize(
    ("inputs", "blob", "message"),
    [
        ([item("a", [2], 8)], bytes(9), "unexpected additional input data for model 'm'"),
        ([item("a", [2], 8)], bytes(4), "unexpected size for input 'a', expecting 4 additional bytes for model 'm'"),
        ([item("a", [2], 4)], bytes(4), "input byte size mismatch for input 'a' for model 'm'. Expected 8, got 4"),
        ([item("a", [-1], 4)], bytes(4), "every dimension must be 0 or more"),
        ([item("a", [1], 2**60)], b"", f"expecting {2**60} additional"),
    ],
)
def test_sizes_that_lie_are_refused(inputs, blob, message):
    body, length = request_bytes(inputs, [blob])
    with pytest.raises(InvalidArgumentError) as caught:
        read_binary_request(body, length, "m")
    assert message in caught.value.message


@pytest.mark.parametrize("header", [b"abc", b"-1", b"1.5", b"", b"9" * 30, b" 5"])
def test_a_header_that_is_no_length_is_refused(header):
    with pytest.raises(InvalidArgumentError, match="Unable to parse Inference-Header-Content-Length"):
        json_length(header, 10)


def test_a_length_beyond_the_body_is_refused():
    assert json_length(b"10", 10) == 10
    with pytest.raises(InvalidArgumentError, match=r"should be in range \(0, 10\), got: 11"):
        json_length(b"11", 10)


SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@settings(max_examples=80, deadline=None)
@given(st.data(), st.sampled_from([*DATATYPES]), st.booleans())
def test_every_datatype_and_shape_survives_binary_both_ways(data, name, mixed):
    shape = data.draw(SHAPES)
    elements = st.binary(max_size=5) if name == "BYTES" else None
    array = data.draw(hnp.arrays(DATATYPES[name].dtype, shape, elements=elements))
    tensors = [Tensor.from_array("x", array, name), Tensor.from_array("y", np.array([7], np.int8))]
    form = OutputForm(default=not mixed, named={"x": True, "y": False} if mixed else {})
    buffers, length = write_buffers(InferResponse("m", tensors), form)
    body = b"".join(buffers)
    assert length is not None
    inputs = json.loads(body[:length])["outputs"]
    assert ("data" in inputs[1]) is mixed
    body, length = request_bytes(inputs, [body[length:]])
    request, _ = read_binary_request(body, length, "m")
    back = request.inputs[0]
    assert (back.datatype, back.shape) == (name, array.shape)
    assert back.array.tobytes() == array.tobytes() if name != "BYTES" else back.array.tolist() == array.tolist()


def test_all_json_has_no_length():
    buffers, length = write_buffers(InferResponse("m", [Tensor.from_array("y", np.zeros(1))]), None)
    assert length is None
    assert len(buffers) == 1


def test_an_empty_binary_output_is_still_binary():
    response = InferResponse("m", [Tensor.from_array("y", np.zeros(0, np.float32))])
    buffers, length = write_buffers(response, OutputForm(default=True))
    assert length == len(buffers[0])


def metadata(*inputs):
    return ModelMetadata("m", inputs=tuple(TensorMetadata("x", datatype, shape) for datatype, shape in inputs))


@pytest.mark.parametrize(
    ("shape", "count", "expected"),
    [((-1, 4), 8, (2, 4)), ((2, 2), 4, (2, 2)), ((-1, -1), 6, (1, 6)), ((3, -1), 6, (3, 2)), ((-1, 0), 2, None)],
)
def test_a_raw_body_is_the_only_input(shape, count, expected):
    body = np.arange(count, dtype=np.float32).tobytes()
    if expected is None:
        with pytest.raises(InvalidArgumentError, match="Expected a multiple of 0"):
            read_raw_request(body, metadata(("FP32", shape)))
        return
    request, form = read_raw_request(body, metadata(("FP32", shape)), "2")
    assert request.inputs[0].array.tolist() == np.arange(count, dtype=np.float32).reshape(expected).tolist()
    assert (request.model_name, request.model_version) == ("m", "2")
    assert form.binary("anything")


@pytest.mark.parametrize(
    ("inputs", "size", "message"),
    [
        ([("FP32", (4,)), ("FP32", (4,))], 16, "must only have 1 input"),
        ([], 4, "got 0 inputs"),
        ([("FP32", (2, -1, -1))], 8, "more than one variable-sized dimension"),
        ([("FP32", (-1, 4))], 15, "Expected a multiple of 16, got 15"),
        ([("FP32", (4,))], 15, "Expected 16, got 15"),
        ([("BYTES", (2,))], 3, "must have input shape [1]"),
        ([("BYTES", ())], 3, "must have input shape [1]"),
    ],
)
def test_a_raw_body_that_cannot_be_read_is_refused(inputs, size, message):
    with pytest.raises(InvalidArgumentError) as caught:
        read_raw_request(bytes(size), metadata(*inputs))
    assert message in caught.value.message


def test_a_raw_text_is_one_element():
    request, _ = read_raw_request(b"hi", metadata(("BYTES", (-1, 1))))
    assert request.inputs[0].array.tolist() == [[b"hi"]]
