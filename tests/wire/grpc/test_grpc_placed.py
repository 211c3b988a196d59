"""Tensors of gRPC messages that lie in client shared memory: raw contents are those of the other inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oipserver.errors import InvalidArgumentError
from oipserver.pb.inference_pb2 import InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse
from oipserver.protocol import InferResponse
from oipserver.protocol.regions import Place, PlacedTensor
from oipserver.tensor import Tensor
from oipserver.wire.grpc.convert import SPLIT_FROM, encode_response, encode_typed_response, parse_infer

PLACE = {
    "shared_memory_region": InferParameter(string_param="r"),
    "shared_memory_byte_size": InferParameter(int64_param=8),
    "shared_memory_offset": InferParameter(int64_param=16),
}


def message(*inputs: dict[str, Any], outputs: Any = (), raw: Any = ()) -> bytes:
    request = ModelInferRequest(model_name="m", raw_input_contents=raw)
    for fields in inputs:
        request.inputs.add(datatype="FP32", **{"shape": [2], **fields})
    for name, parameters in outputs:
        request.outputs.add(name=name, parameters=parameters)
    return request.SerializeToString()


@pytest.mark.parametrize("size", [2, SPLIT_FROM])
def test_the_nth_raw_data_are_of_the_nth_input_that_is_not_placed(size: int) -> None:
    raw = [np.full(size, number, np.float32).tobytes() for number in (1, 2)]
    shape = [size]
    inputs = [{"name": name, "shape": shape} for name in "abcd"]
    inputs[0] |= {"parameters": PLACE, "shape": [2]}
    inputs[2] |= {"parameters": {**PLACE, "mine": InferParameter(bool_param=True)}, "shape": [2]}
    request = parse_infer(message(*inputs, raw=raw))
    assert request.regions == {}
    first, second, third, fourth = request.inputs
    assert isinstance(first, PlacedTensor)
    assert isinstance(third, PlacedTensor)
    assert (first.place, first.parameters) == (Place("r", 8, 16), None)
    assert third.parameters == {"mine": True}
    assert second.array[0] == 1
    assert fourth.array[0] == 2


def test_all_inputs_may_be_placed_and_outputs_too() -> None:
    request = parse_infer(message({"name": "a", "parameters": PLACE}, outputs=[("y", PLACE), ("z", {})]))
    assert request.regions == {"y": Place("r", 8, 16)}
    assert [output.parameters for output in request.outputs] == [None, None]


def test_an_ordinary_request_names_no_region() -> None:
    assert parse_infer(message({"name": "a"}, raw=[bytes(8)])).regions is None


@pytest.mark.parametrize("raw", [[], [bytes(8)]])
def test_contents_and_shared_memory_exclude_each_other(raw: list[bytes]) -> None:
    contents = InferTensorContents(fp32_contents=[1, 2])
    with pytest.raises(InvalidArgumentError, match="contents field must not be specified when using"):
        parse_infer(message({"name": "a", "parameters": PLACE, "contents": contents}, raw=raw))


def test_an_output_cannot_be_classes_in_shared_memory() -> None:
    parameters = {**PLACE, "classification": InferParameter(int64_param=1)}
    with pytest.raises(InvalidArgumentError, match="Output can't set both 'shared_memory_region' and 'classification'"):
        parse_infer(message({"name": "a", "parameters": PLACE}, outputs=[("y", parameters)]))


@pytest.mark.parametrize("encode", [encode_response, encode_typed_response])
def test_a_placed_output_has_an_empty_raw_entry(encode: Any) -> None:
    place = Place("r", 8, 16)
    placed = PlacedTensor("y", "FP32", (2,), place, place.parameters)
    here = Tensor.from_array("z", np.ones(1, np.float32))
    answer = ModelInferResponse.FromString(encode(InferResponse("m", [placed, here])))
    assert list(answer.raw_output_contents) == [b"", np.ones(1, np.float32).tobytes()]
    told = answer.outputs[0].parameters
    assert told["shared_memory_region"].string_param == "r"
    assert told["shared_memory_byte_size"].int64_param == 8
    assert told["shared_memory_offset"].int64_param == 16
