"""Which elements classification takes, in which order, and how they are written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oipserver.errors import InvalidArgumentError
from oipserver.plane.extensions.classification import MAX_ELEMENTS, classify
from oipserver.protocol import InferResponse, ModelMetadata, TensorMetadata
from oipserver.runtime import ModelFace
from oipserver.settings import ModelSettings
from oipserver.tensor import Tensor
from oipserver.tensor.json_data import bf16_from_float32


def classified(tensor: Tensor, count: int, *, face: ModelFace | None = None, **settings: Any) -> Tensor:
    response = InferResponse("m", [tensor, Tensor.from_array("other", np.zeros(1))])
    answer = classify(response, {"y": count}, face or ModelFace(ModelMetadata("m")), ModelSettings(**settings))
    assert answer.outputs[1].datatype == "FP64"
    return answer.outputs[0]


def elements(array: Any, count: int, **options: Any) -> Any:
    return classified(Tensor.from_array("y", np.asarray(array)), count, **options).array.tolist()


def declared(*shape: int, **parameters: Any) -> ModelFace:
    return ModelFace(ModelMetadata("m", outputs=(TensorMetadata("y", "FP32", shape, parameters or None),)))


def test_numbers_are_written_as_triton_does() -> None:
    assert elements(np.float32([0.1, 1e9]), 2) == [b"1000000000.000000:1", b"0.100000:0"]
    assert elements(np.float64([-np.inf, np.inf, np.nan]), 3) == [b"inf:1", b"-inf:0", b"nan:2"]
    assert elements(np.uint64([0, 2**64 - 1]), 2) == [b"18446744073709551615:1", b"0:0"]
    assert elements(np.int64([-(2**63), 0]), 2) == [b"0:1", b"-9223372036854775808:0"]
    half = Tensor.from_array("y", bf16_from_float32(np.float32([1.5, 2.5])), "BF16")
    assert classified(half, 1).array.tolist() == [b"2.500000:1"]


def test_equal_elements_keep_their_order() -> None:
    assert elements(np.float32([1, 2, 2, 2, 1]), 4) == [
        b"2.000000:1",
        b"2.000000:2",
        b"2.000000:3",
        b"1.000000:0",
    ]


def test_rows_are_the_batchs_where_the_model_batches() -> None:
    rows = np.float32([[1, 2], [4, 3]])
    assert elements(rows, 1) == [[b"2.000000:1"], [b"4.000000:0"]]
    assert elements(rows, 1, face=declared(-1, 2)) == [[b"2.000000:1"], [b"4.000000:0"]]
    assert elements(rows, 1, face=declared(2, 2)) == [b"4.000000:2"]
    assert elements(rows, 1, configuration={"max_batch_size": 0}) == [b"4.000000:2"]
    assert elements(np.float32([7, 8]), 3, configuration={"max_batch_size": 4}) == [[b"7.000000:0"], [b"8.000000:0"]]
    assert elements(np.float32(5), 3) == [b"5.000000:0"]


def test_nothing_to_classify() -> None:
    assert classified(Tensor.from_array("y", np.zeros((0, 4), np.float32)), 2).shape == (0, 2)
    assert classified(Tensor.from_array("y", np.zeros((3, 0), np.float32)), 2).shape == (3, 0)
    assert classified(Tensor.from_array("y", np.zeros(0, np.float32)), 2).shape == (0,)


def test_labels_are_those_of_the_file_or_of_the_metadata() -> None:
    row = np.float32([1, 2, 3])
    assert elements(row, 2, face=declared(3, labels=["a", "b", "c"])) == [b"3.000000:2:c", b"2.000000:1:b"]
    face = ModelFace(ModelMetadata("m"), details={"labels": {"y": ("zero", "één")}})
    assert elements(row, 3, face=face) == [b"3.000000:2", "2.000000:1:één".encode(), b"1.000000:0:zero"]


def test_an_answer_of_too_many_elements_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="classification output tensor too large"):
        elements(np.zeros((2, MAX_ELEMENTS // 2 + 1), np.int8), MAX_ELEMENTS)


def test_booleans_are_no_numbers() -> None:
    with pytest.raises(InvalidArgumentError, match="due to unsupported type 'BOOL'"):
        elements(np.array([True]), 1)


@given(hnp.arrays(np.float32, st.integers(1, 30), elements=st.floats(width=32)), st.integers(1, 40))
def test_it_is_a_stable_sort(row: Any, count: int) -> None:
    order = sorted(range(row.size), key=lambda index: (-row[index] if row[index] == row[index] else np.inf, index))
    got = [int(element.split(b":")[1]) for element in elements(row, count)]
    assert got == order[:count]
