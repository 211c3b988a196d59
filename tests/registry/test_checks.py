"""What is refused before any model is asked, and in which words."""

from __future__ import annotations

import pytest

from oipserver.errors import InvalidArgumentError
from oipserver.protocol import InferRequest, ModelMetadata, RequestedOutput, TensorMetadata
from oipserver.registry.checks import InputCheck, check_for
from oipserver.runtime import ModelFace
from oipserver.settings import ModelSettings
from oipserver.tensor import Tensor

A = TensorMetadata("a", "FP32", (-1, 2))
B = TensorMetadata("b", "INT64", (-1, 3))
MAYBE = TensorMetadata("maybe", "FP32", (-1, 2), optional=True)
OUT = TensorMetadata("out", "FP32", (-1, 2))


def check(*inputs: TensorMetadata, strict: bool = True, most: int | None = None) -> InputCheck:
    face = ModelFace(ModelMetadata("m", inputs=inputs, outputs=(OUT,)), strict=strict)
    configuration = None if most is None else {"max_batch_size": most}
    return check_for(face, ModelSettings(name="m", configuration=configuration))


def tensor(declared: TensorMetadata, *shape: int, name: str = "", datatype: str = "") -> Tensor:
    return Tensor(name or declared.name, datatype or declared.datatype, shape)


def request(*inputs: Tensor, outputs: tuple[str, ...] = ()) -> InferRequest:
    return InferRequest("m", list(inputs), outputs=[RequestedOutput(name) for name in outputs])


def refusal(checked: InputCheck, asked: InferRequest) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        checked(asked)
    return caught.value.message


def test_what_fits_passes_in_any_order() -> None:
    for most in (None, 0, 4):
        checked = check(A, B, MAYBE, most=most)
        checked(request(tensor(A, 4, 2), tensor(B, 4, 3)))
        checked(request(tensor(B, 1, 3), tensor(MAYBE, 1, 2), tensor(A, 1, 2)))


def test_inputs_that_are_not_as_declared() -> None:
    checked = check(A, B)
    assert refusal(checked, request(tensor(A, 1, 2), tensor(B, 1, 4))) == (
        "unexpected shape for input 'b' for model 'm'. Expected [-1,3], got [1,4]"
    )
    assert refusal(checked, request(tensor(A, 2), tensor(B, 1, 3))).endswith("Expected [-1,2], got [2]")
    assert refusal(checked, request(tensor(A, 1, 2, datatype="FP64"), tensor(B, 1, 3))) == (
        "inference input 'a' data-type is 'FP64', but model 'm' expects 'FP32'"
    )
    assert refusal(checked, request(tensor(A, 1, 2), tensor(A, 1, 2))) == (
        "input 'a' already exists in request for model 'm'"
    )
    assert refusal(checked, request(tensor(A, 1, 2), tensor(B, 1, 3, name="c"))) == (
        "unexpected inference input 'c' for model 'm', expected ['a', 'b']"
    )


def test_inputs_that_are_missing() -> None:
    assert refusal(check(A, B), request()) == (
        "expected 2 inputs but got 0 inputs for model 'm'. Got input(s) [], but missing required input(s) ['a','b']. "
        "Please provide all required input(s)."
    )
    assert refusal(check(A, MAYBE), request(tensor(MAYBE, 1, 2))).startswith(
        "expected number of inputs between 1 and 2 but got 1 inputs for model 'm'. Got input(s) ['maybe'], but missing "
    )


def test_a_model_that_does_not_insist_takes_anything_but_a_name_twice() -> None:
    checked = check(A, B, strict=False)
    checked(request(tensor(A, 7), outputs=("whatever",)))
    assert "already exists" in refusal(checked, request(tensor(A, 7), tensor(A, 7)))


def test_rows_of_a_configured_model() -> None:
    checked = check(A, B, most=4)
    assert refusal(checked, request(tensor(A, 5, 2), tensor(B, 5, 3))) == (
        "inference request batch-size must be <= 4 for 'm'"
    )
    assert refusal(checked, request(tensor(A, 0, 2), tensor(B, 0, 3))).endswith("and at least 1, got 0")
    assert refusal(checked, request(tensor(A, 1, 2), tensor(B, 2, 3))) == (
        "input 'b' batch size does not match other inputs for 'm'"
    )
    assert ". NOTE: Setting a non-zero max_batch_size" in refusal(checked, request(tensor(A, 2), tensor(B, 1, 3)))
    check(A, B, most=0)(request(tensor(A, 5, 2), tensor(B, 0, 3)))


def test_outputs_of_a_configured_model() -> None:
    asked = request(tensor(A, 1, 2), outputs=("out", "nope"))
    assert refusal(check(A, most=0), asked) == "unexpected inference output 'nope' for model 'm', expected ['out']"
    check(A)(asked)  # other models judge for themselves: some have more names for an output than they tell


@pytest.mark.parametrize(
    ("raw", "phrase"),
    [
        (b"\x02\0\0\0ab\0\0\0\0", None),
        (
            b"\x32\0\0\0abcdef",
            "incomplete string data for inference input 'text', expecting string of length 50 but only 6 bytes "
            "available",
        ),
        (b"\x01\0\0\0a\x01\0\0", "expected 2 string elements for inference input 'text', got 1"),
        (b"\0\0\0\0" * 3, "unexpected number of string elements for inference input 'text'"),
        (b"", "expected 2 string elements"),
    ],
)
def test_text_that_lies_about_its_lengths_reaches_no_configured_model(raw: bytes, phrase: str | None) -> None:
    checked = check(TensorMetadata("text", "BYTES", (2,)), most=0)
    asked = request(Tensor("text", "BYTES", (2,), raw=raw))
    if phrase is None:
        checked(asked)
    else:
        assert phrase in refusal(checked, asked)
