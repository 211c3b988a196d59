"""The bridge between internal and public messages: complete, and without lists where there were none."""

from __future__ import annotations

import logging
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from oipserver.errors import InvalidArgumentError
from oipserver.protocol import InferRequest, RequestedOutput
from oipserver.tensor import Tensor
from oipserver.tensor.json_data import float32_from_bf16
from oipserver.types import (
    InferenceResponse,
    Parameters,
    RequestOutput,
    ResponseOutput,
    TensorData,
    from_public,
    to_public,
)
from oipserver.types.bridge import DECODED_PARAMETER, _warn_of_shape

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)


def request_of(*tensors: Tensor, **fields: Any) -> InferRequest:
    return InferRequest("m", list(tensors), **fields)


def tensor_of(data: Any, datatype: str, shape: list[int], **fields: Any) -> Tensor:
    """The internal form of the one output of a response."""
    output = ResponseOutput(name="o", datatype=datatype, shape=shape, data=data, **fields)
    return from_public(InferenceResponse(model_name="m", outputs=[output]), request_of()).outputs[0]


@pytest.mark.parametrize("where", ["request", "input", "output"])
def test_a_content_type_that_is_no_text_is_the_callers_mistake(where: str) -> None:
    wrong: Any = {"content_type": 5}
    tensor = Tensor("a", "FP32", (2, 3), raw=MATRIX.tobytes(), parameters=wrong if where == "input" else None)
    more: dict[str, Any] = {"parameters": wrong} if where == "request" else {}
    if where == "output":
        more["outputs"] = [RequestedOutput("o", wrong)]
    with pytest.raises(InvalidArgumentError, match="parameter 'content_type'"):
        to_public(request_of(tensor, **more))


def test_a_request_in_public() -> None:
    tensor = Tensor("a", "FP32", (2, 3), raw=MATRIX.tobytes(), parameters={"content_type": "np", "n": 1})
    public = to_public(
        request_of(
            tensor,
            id="7",
            parameters={"content_type": "pd", "k": True},
            headers={"x-foo": "bar"},
            outputs=[RequestedOutput("o", {"content_type": "str"}), RequestedOutput("p")],
        )
    )
    assert public.model_dump(exclude={"inputs"}) == {
        "id": "7",
        "parameters": {"content_type": "pd", "k": True, "headers": {"x-foo": "bar"}},
        "outputs": [{"name": "o", "parameters": {"content_type": "str"}}, {"name": "p"}],
    }
    (received,) = public.inputs
    assert (received.name, received.shape, received.datatype) == ("a", [2, 3], "FP32")
    assert received.parameters == Parameters(content_type="np", n=1)
    assert received.data.source is tensor
    assert not tensor.has_array


def test_what_was_not_said_is_not_set() -> None:
    public = to_public(request_of(Tensor("a", "FP32", (2, 3), array=MATRIX)))
    assert public.model_fields_set == {"inputs"}
    assert public.inputs[0].parameters is None
    assert to_public(request_of(parameters={"k": 1})).parameters == Parameters(k=1)


def test_headers_are_the_models_own_copy() -> None:
    headers = {"x-foo": "bar"}
    public = to_public(request_of(headers=headers))
    assert public.parameters is not None
    assert public.parameters.headers is not None
    public.parameters.headers["x-foo"] = "baz"
    assert headers == {"x-foo": "bar"}


def test_a_response_within() -> None:
    response = InferenceResponse(
        model_name="other",
        parameters=Parameters(content_type="np", headers={"x-a": "1"}, k=2),
        outputs=[
            ResponseOutput(
                name="o",
                datatype="FP32",
                shape=[2, 3],
                data=TensorData(MATRIX),
                parameters=Parameters(content_type="np", headers={"x-b": "2"}),
            )
        ],
    )
    internal = from_public(response, request_of(id="7", model_version="3"))
    assert (internal.model_name, internal.model_version, internal.id) == ("m", "3", "7")
    assert internal.parameters == {"content_type": "np", "k": 2}
    assert internal.headers == {"x-a": "1", "x-b": "2"}
    (tensor,) = internal.outputs
    assert tensor.parameters == {"content_type": "np"}
    assert tensor.array is MATRIX


def test_an_echoed_input_keeps_its_bytes() -> None:
    tensor = Tensor("a", "FP32", (2, 3), raw=MATRIX.tobytes(), parameters={"content_type": "np"})
    data = to_public(request_of(tensor)).inputs[0].data
    answered = tensor_of(data, "FP32", [2, 3])
    assert (answered.name, answered.parameters) == ("o", None)
    assert answered.raw is tensor.raw
    assert not tensor.has_array
    assert tensor.parameters == {"content_type": "np"}


def test_no_elements_in_any_shape() -> None:
    assert tensor_of([], "FP32", [0, 2]).array.shape == (0, 2)
    assert tensor_of([], "BYTES", [3, 0]).array.shape == (3, 0)


def test_an_echoed_input_may_change_its_shape_and_datatype() -> None:
    data = to_public(request_of(Tensor("a", "FP32", (2, 3), raw=MATRIX.tobytes()))).inputs[0].data
    assert tensor_of(data, "FP64", [6]).array.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_decoded_values_are_not_sent() -> None:
    parameters = Parameters(content_type="np")
    object.__setattr__(parameters, DECODED_PARAMETER, MATRIX)
    assert tensor_of([1.0], "FP32", [1], parameters=parameters).parameters == {"content_type": "np"}


@pytest.mark.parametrize(
    ("data", "datatype", "shape", "expected"),
    [
        ([1, 2.5, None], "FP32", [3], [1.0, 2.5, np.nan]),
        ([[1, 2], [3, 4]], "INT64", [2, 2], [[1, 2], [3, 4]]),
        ([True, False], "BOOL", [2], [True, False]),
        (3.5, "FP64", [1], [3.5]),
        ([np.float32(1.5)], "FP32", [1], [1.5]),
        (np.array([1, 2]), "INT64", [2], [1, 2]),
        (np.array([1.5, 2.5]), "FP32", [2, 1], [[1.5], [2.5]]),
        ([1, 2, 3, 4], "INT8", [-1, 2], [[1, 2], [3, 4]]),
        (["a", b"\xff"], "BYTES", [2], [b"a", b"\xff"]),
        ([["a"], ["b"]], "BYTES", [2, 1], [[b"a"], [b"b"]]),
        ("hello", "BYTES", [1], [b"hello"]),
        (np.array(["é", ""]), "BYTES", [2], ["é".encode(), b""]),
        (np.array([b"a", b"bc"]), "BYTES", [2, 1], [[b"a"], [b"bc"]]),
    ],
)
def test_elements(data: Any, datatype: str, shape: list[int], expected: Any) -> None:
    tensor = tensor_of(data, datatype, shape)
    assert tensor.datatype == datatype
    assert tensor.shape == tensor.array.shape == np.shape(expected)
    np.testing.assert_array_equal(tensor.array, np.array(expected, tensor.array.dtype).reshape(tensor.shape))


@pytest.mark.parametrize(
    "data",
    [[1.5, -2.0], np.array([1.5, -2.0]), np.array([1.5, -2.0], ml_dtypes.bfloat16)],
    ids=["list", "float", "bf16"],
)
def test_bfloat16(data: Any) -> None:
    tensor = tensor_of(data, "BF16", [2])
    assert tensor.array.dtype == np.uint16
    assert float32_from_bf16(tensor.array).tolist() == [1.5, -2.0]


@pytest.mark.parametrize(
    ("data", "datatype", "shape", "actual"),
    [(["some text"], "BYTES", [9], (1,)), ([1.0, 2.0], "FP32", [3], (2,)), ([[1], [2]], "INT32", [1], (2, 1))],
)
def test_a_shape_that_does_not_fit_is_replaced_by_that_of_the_elements(
    data: Any, datatype: str, shape: list[int], actual: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    _warn_of_shape.cache_clear()
    with caplog.at_level(logging.WARNING, "oipserver.types.bridge"):
        assert tensor_of(data, datatype, shape).shape == actual
        assert tensor_of(data, datatype, shape).array.shape == actual
    assert [record.getMessage() for record in caplog.records] == [
        "model 'm': the shape of output 'o' does not fit its elements; theirs is sent"
    ]


@pytest.mark.parametrize(
    ("data", "datatype"),
    [(["a"], "FP32"), ([300], "UINT8"), ([[1], [2, 3]], "INT32"), (np.array([1j]), "FP32"), (np.array([1.5]), "INT32")],
)
def test_elements_the_datatype_cannot_hold_are_refused(data: Any, datatype: str) -> None:
    with pytest.raises(InvalidArgumentError, match="'o'"):
        tensor_of(data, datatype, [1])


def test_requested_outputs_keep_their_parameters() -> None:
    public = to_public(request_of(outputs=[RequestedOutput("o", {"classification": 3})]))
    assert public.outputs == [RequestOutput(name="o", parameters=Parameters(classification=3))]
