"""The classification extension over both wires, of models in both layouts."""

from __future__ import annotations

from typing import Any

import grpc
import numpy as np
import pytest

from oipserver.pb import inference_pb2 as pb
from oipserver.wire.grpc import SERVICE
from tests.conformance.wires import MISTAKE, Wire

pytestmark = pytest.mark.process

ROWS = np.array([[0.5, 4, -1, 2], [1, 1, 1, 0]], np.float32)


def texts(array: Any) -> Any:
    return np.vectorize(lambda element: element.decode() if isinstance(element, bytes) else element)(array).tolist()


@pytest.mark.parametrize("binary", [True, False])
def test_the_highest_of_every_row_with_their_labels(wire: Wire, binary: bool) -> None:
    wanted = wire.output("y", class_count=3, binary=binary)
    result = wire.infer("scores", [wire.input("x", ROWS)], outputs=[wanted])
    assert texts(result.as_numpy("y")) == [
        ["4.000000:1:one", "2.000000:3:many", "0.500000:0:none"],
        ["1.000000:0:none", "1.000000:1:one", "1.000000:2:two"],
    ]


def test_no_more_than_there_are(wire: Wire) -> None:
    result = wire.infer("scores", [wire.input("x", ROWS)], outputs=[wire.output("y", class_count=99)])
    assert result.as_numpy("y").shape == (2, 4)


def test_integers_are_written_as_such_and_other_outputs_stay(wire: Wire) -> None:
    numbers = np.arange(16, dtype=np.int32).reshape(1, 16)
    inputs = [wire.input("INPUT0", numbers), wire.input("INPUT1", np.ones_like(numbers))]
    outputs = [wire.output("OUTPUT0", class_count=2), wire.output("OUTPUT1")]
    result = wire.infer("add", inputs, outputs=outputs)
    assert texts(result.as_numpy("OUTPUT0")) == [["16:15", "15:14"]]
    np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), numbers - 1)


def test_what_is_no_number_cannot_be_classified(wire: Wire) -> None:
    text = np.array([[b"a"]], dtype=object)
    status, message = wire.mistake(
        "text", [wire.input("text_input", text)], outputs=[wire.output("text_output", class_count=1)]
    )
    assert status == MISTAKE[wire.kind]
    assert "class result not available for output due to unsupported type 'BYTES'" in message


@pytest.mark.parametrize("name", ["identity-FP16", "identity-FP64", "identity-INT8", "identity-UINT64"])
def test_every_kind_of_number(wire: Wire, name: str) -> None:
    values = np.array([[1, 3, 2]]).astype({"FP16": "f2", "FP64": "f8", "INT8": "i1", "UINT64": "u8"}[name[9:]])
    result = wire.infer(name, [wire.input("x", values)], outputs=[wire.output("y", class_count=2)])
    expected = ["3.000000:1", "2.000000:2"] if name[9:].startswith("FP") else ["3:1", "2:2"]
    assert texts(result.as_numpy("y")) == [expected]


@pytest.mark.parametrize(
    ("parameters", "phrase"),
    [
        ({"classification": "3"}, "Unable to set 'classification': expected an integer of 0 or more, got a string"),
        ({"classification": -1}, "Unable to set 'classification': expected an integer of 0 or more, got -1"),
        ({"classification": 1.5}, "Unable to set 'classification'"),
        (
            {"classification": 1, "shared_memory_region": "r", "shared_memory_byte_size": 4},
            "Output can't set both 'shared_memory_region' and 'classification'",
        ),
    ],
)
def test_counts_that_are_none_over_rest(layout_server: Any, parameters: dict[str, Any], phrase: str) -> None:
    body = {
        "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}],
        "outputs": [{"name": "y", "parameters": parameters}],
    }
    answer = layout_server.infer("scores", body)
    assert (answer.status_code, phrase in answer.json()["error"]) == (400, True), answer.text


@pytest.mark.parametrize(
    ("field", "value", "phrase"),
    [
        ("int64_param", 0, "invalid value for 'classification' parameter, expected >= 0"),
        ("int64_param", -1, "invalid value for 'classification' parameter, expected >= 0"),
        ("string_param", "3", "invalid value type for 'classification' parameter, expected int64_param"),
        ("bool_param", True, "invalid value type for 'classification' parameter, expected int64_param"),
    ],
)
def test_counts_that_are_none_over_grpc(layout_server: Any, field: str, value: Any, phrase: str) -> None:
    message = pb.ModelInferRequest(model_name="scores", raw_input_contents=[bytes(16)])
    message.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    setattr(message.outputs.add(name="y").parameters["classification"], field, value)
    with grpc.insecure_channel(layout_server.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{SERVICE}/ModelInfer", pb.ModelInferRequest.SerializeToString)(message, timeout=20)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert phrase in caught.value.details()
